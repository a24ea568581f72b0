"""The container images: how each is built and loaded into the cluster."""

import shlex
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path

from operations.cluster.command_runner import CommandRunner
from product_classifier.model_names import FUSION, IMAGE, TEXT

PREFIX = "product-classifier"
SERVICE_DOCKERFILE = Path("inference/Dockerfile")
TRAINER_DOCKERFILE = Path("components/Dockerfile")


@dataclass(frozen=True, slots=True)
class Image:
    """A container image with its Dockerfile and build arguments."""

    name: str
    dockerfile: Path
    arguments: tuple[tuple[str, str], ...] = ()

    def reference(self, tag: str) -> str:
        return f"{PREFIX}/{self.name}:{tag}"


def _service(name: str, extra: str) -> Image:
    return Image(name, SERVICE_DOCKERFILE, (("SERVICE", name.replace("-", "_")), ("EXTRA", extra)))


IMAGES = (
    _service(TEXT, "text"),
    _service(IMAGE, "image"),
    _service(FUSION, "fusion"),
    _service("auth-proxy", "proxy"),
    _service("feedback-service", "feedback"),
    _service("simulation", "simulate"),
    _service("mlflow", "tracking"),
    Image("trainer", TRAINER_DOCKERFILE),
)
"""Every image that a manifest may name without a registry."""


def build(
    runner: CommandRunner,
    *,
    builder: str,
    tag: str,
    commit: str,
    torch_index: str,
    registry: str = "",
    common: Mapping[str, str] | None = None,
) -> None:
    """Build every image, with those `common` arguments that have a value; they share layers."""
    for image in IMAGES:
        arguments = dict(image.arguments) | {"GIT_COMMIT": commit}
        arguments |= {name: value for name, value in (common or {}).items() if value}
        if image.dockerfile == TRAINER_DOCKERFILE and torch_index:
            arguments["TORCH_INDEX"] = torch_index
        options = [option for name, value in arguments.items() for option in ("--build-arg", f"{name}={value}")]
        command = [
            *shlex.split(builder),
            "-f",
            str(image.dockerfile),
            *options,
            "-t",
            registry + image.reference(tag),
            ".",
        ]
        runner.run_step(f"build {image.reference(tag)}", command)


def load(runner: CommandRunner, *, loader: str, tag: str, registry: str = "") -> None:
    """Load every image into the nodes of the cluster, or push it to the registry."""
    for image in IMAGES:
        runner.run_step(f"load  {image.reference(tag)}", [*shlex.split(loader), registry + image.reference(tag)])
