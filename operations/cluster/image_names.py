"""Names of container images: the complete form, and all that objects name."""

import re
from collections.abc import Iterable, Iterator

from operations.cluster.object_status import Object

DEFAULT_REGISTRY = "docker.io/"


def qualified(image: str) -> str:
    """Return the name with its registry: `python:3.11` is `docker.io/library/python:3.11`."""
    first, slash, _ = image.partition("/")
    if not slash:
        return f"{DEFAULT_REGISTRY}library/{image}"
    return image if re.search(r"[.:]|^localhost$", first) else f"{DEFAULT_REGISTRY}{image}"


def without_tag(image: str) -> str:
    """Return the name of an image without tag and digest."""
    return re.sub(r"(:[\w.-]+)?(@sha256:[0-9a-f]+)?$", "", image)


def copy_name(registry: str, image: str) -> str:
    """Return the name of the copy of an image, below the prefix of a registry.

    The port of a registry cannot be part of a name. A copy of an image without a tag is named by its digest, and has a
    tag too, since programs that copy images need one.
    """
    name = re.sub(r"^([^/:]+):(\d+)/", r"\1-\2/", qualified(image))
    return registry + re.sub(r"@sha256:([0-9a-f]{12})[0-9a-f]*$", r":sha256-\1", name)


def images_of(objects: Iterable[Object]) -> Iterator[str]:
    """Yield the images of the containers of objects, as they are written."""
    waiting: list[object] = list(objects)
    while waiting:
        match waiting.pop():
            case dict() as mapping:
                if isinstance(image := mapping.get("image"), str):
                    yield image
                waiting += mapping.values()
            case list() as items:
                waiting += items
