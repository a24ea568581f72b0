"""Which images there are, how each is built, and how it gets into the cluster."""

import shlex
from dataclasses import dataclass
from pathlib import Path

from operations.cluster.commands import Commands

PREFIX = "product-classifier"
SERVICES = Path("inference/Dockerfile")
STEPS = Path("components/Dockerfile")


@dataclass(frozen=True, slots=True)
class Image:
    """One image: its recipe and what the recipe is told."""

    name: str
    recipe: Path
    arguments: tuple[tuple[str, str], ...] = ()

    def reference(self, tag: str) -> str:
        return f"{PREFIX}/{self.name}:{tag}"


def _service(name: str, extra: str) -> Image:
    return Image(name, SERVICES, (("SERVICE", name.replace("-", "_")), ("EXTRA", extra)))


IMAGES = (
    _service("text-predictor", "text"),
    _service("image-predictor", "image"),
    _service("fusion-transformer", "fusion"),
    _service("auth-proxy", "proxy"),
    _service("feedback-service", "feedback"),
    _service("simulation", "simulate"),
    _service("mlflow", "tracking"),
    Image("trainer", STEPS),
)
"""Every image a manifest may name without a registry."""


def build(commands: Commands, *, builder: str, tag: str, commit: str, torch_index: str) -> None:
    """Build every image; the ones that share layers come one after the other."""
    for image in IMAGES:
        arguments = dict(image.arguments) | {"GIT_COMMIT": commit}
        if image.recipe == STEPS and torch_index:
            arguments["TORCH_INDEX"] = torch_index
        told = [word for name, value in arguments.items() for word in ("--build-arg", f"{name}={value}")]
        command = [*shlex.split(builder), "-f", str(image.recipe), *told, "-t", image.reference(tag), "."]
        commands.step(f"build {image.reference(tag)}", command)


def load(commands: Commands, *, loader: str, tag: str) -> None:
    """Put every image into the cluster's nodes."""
    for image in IMAGES:
        commands.step(f"load  {image.reference(tag)}", [*shlex.split(loader), image.reference(tag)])
