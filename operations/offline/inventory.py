"""Everything that an installation downloads: images, packages and the manifests of the platform."""

import re
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path

import yaml

from operations.cluster.command_runner import CommandFailed, CommandRunner
from operations.cluster.image_names import images_of, qualified
from operations.cluster.images import PREFIX, SERVICE_DOCKERFILE, TRAINER_DOCKERFILE

MANIFESTS = Path("manifests")
COMPOSE_FILE = Path("docker/compose.yaml")
LOCKS = (Path("requirements.lock"), Path("requirements-encoders.lock"), Path("requirements-packaged-encoders.lock"))


@dataclass(frozen=True, slots=True)
class Package:
    """A locked package with the SHA-256 digests of its files."""

    name: str
    version: str
    digests: tuple[str, ...]


@dataclass(frozen=True, slots=True)
class Part:
    """Rendered manifests; `problem` is why they could not be rendered."""

    name: str
    text: str = ""
    problem: str = ""


def platform(runner: CommandRunner) -> list[Part]:
    """Render every part of the platform, which is downloaded."""
    return [_rendered(runner, path) for path in sorted((MANIFESTS / "platform").rglob("kustomization.yaml"))]


def images(runner: CommandRunner, parts: Sequence[Part] = ()) -> list[str]:
    """Return the images of other projects that overlays, compose, Dockerfiles and the platform name."""
    overlays = [_rendered(runner, path) for path in sorted((MANIFESTS / "overlays").glob("*/kustomization.yaml"))]
    found = {image for part in (*overlays, *parts) for image in images_of(yaml.safe_load_all(part.text))}
    compose = yaml.safe_load(COMPOSE_FILE.read_text(encoding="utf-8"))
    found |= {one["image"] for one in compose["services"].values()}
    found |= {image for path in (SERVICE_DOCKERFILE, TRAINER_DOCKERFILE) for image in base_images(path)}
    return sorted({qualified(image) for image in found if f"{PREFIX}/" not in image})


def base_images(dockerfile: Path) -> list[str]:
    """Return the images that a Dockerfile builds on."""
    return re.findall(r"^ARG PYTHON_IMAGE=(\S+)$", dockerfile.read_text(encoding="utf-8"), re.MULTILINE)


def packages(lock: Path) -> Iterator[Package]:
    """Yield the packages of a lock file."""
    text = lock.read_text(encoding="utf-8").replace("\\\n", " ")
    for line in text.splitlines():
        if found := re.match(r"([A-Za-z0-9._-]+)==([^\s;]+)", line):
            yield Package(found[1], found[2], tuple(re.findall(r"--hash=sha256:([0-9a-f]{64})", line)))


def _rendered(runner: CommandRunner, path: Path) -> Part:
    name = str(path.parent.relative_to(MANIFESTS))
    try:
        return Part(name, runner.kubectl("kustomize", str(path.parent)))
    except CommandFailed as error:
        return Part(name, problem=str(error).strip().splitlines()[-1][:200])
