"""List what an installation downloads, and mirror it: `python -m operations.offline list|mirror`.

Both write `build/offline/inventory.json`. `mirror` copies the images to REGISTRY and adds their digests to the list,
copies the packages to PACKAGE_FOLDER, and renders the manifests of the platform, with the images of REGISTRY.
"""

import json
import shlex
import sys
from collections.abc import Mapping, Sequence
from dataclasses import asdict
from pathlib import Path

from operations.cluster.command_runner import CommandRunner
from operations.cluster.image_names import copy_name
from operations.offline import inventory, package_index
from operations.offline.settings import Settings
from product_classifier.errors import ProductClassifierError
from product_classifier.settings_help import settings_parser
from product_classifier.settings_reader import read_settings

EXIT_INTERRUPTED = 130


def main(argv: Sequence[str]) -> int:
    """Run one command; return 1 with the reason on standard error if it fails."""
    parser = settings_parser("python -m operations.offline", __doc__, Settings)
    parser.add_argument("command", choices=["list", "mirror"])
    options = parser.parse_args(argv)
    runner = CommandRunner(lambda line: print(line, flush=True))  # noqa: T201 - progress
    try:
        settings = read_settings(Settings)
        parts = inventory.platform(runner)
        images = inventory.images(runner, parts)
        digests = mirror(runner, settings, images, parts) if options.command == "mirror" else {}
        write_inventory(runner, settings.output, images, digests, parts)
    except KeyboardInterrupt:
        return EXIT_INTERRUPTED
    except ProductClassifierError as error:
        sys.stderr.write(f"offline: {error}\n")
        return 1
    return 0


def mirror(
    runner: CommandRunner, settings: Settings, images: Sequence[str], parts: Sequence[inventory.Part]
) -> dict[str, str]:
    """Copy images and packages, and write the platform's manifests; return the digests of the images."""
    digests = copy_images(runner, settings, images) if settings.registry else {}
    if settings.package_folder is not None:
        package_index.download(runner, inventory.LOCKS, settings.package_folder)
        count = package_index.write_index(settings.package_folder)
        runner.report(f"{count} projects in {settings.package_folder / package_index.SIMPLE}")
    for part in parts:
        path = settings.output / f"{part.name}.yaml"
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(with_registry(part.text, settings.registry, images), encoding="utf-8")
    return digests


def copy_images(runner: CommandRunner, settings: Settings, images: Sequence[str]) -> dict[str, str]:
    """Copy each image to the registry, under its complete name; return the digests of the copies."""
    found = {}
    for image in images:
        target = copy_name(settings.registry, image)
        runner.run_step(f"copy {image}", [*shlex.split(settings.copy_image), image, target])
        found[image] = runner.run([*shlex.split(settings.image_digest), target]).strip()
    return found


def with_registry(text: str, registry: str, images: Sequence[str]) -> str:
    """Return manifests whose images are those of the registry."""
    for image in images if registry else ():
        for written in {image, image.removeprefix("docker.io/"), image.removeprefix("docker.io/library/")}:
            text = text.replace(f"image: {written}\n", f"image: {copy_name(registry, image)}\n")
    return text


def write_inventory(
    runner: CommandRunner,
    folder: Path,
    images: Sequence[str],
    digests: Mapping[str, str],
    parts: Sequence[inventory.Part],
) -> None:
    """Write the list as JSON; report what could not be rendered."""
    content = {
        "images": [{"name": image, "digest": digests.get(image) or _own_digest(image)} for image in images],
        "packages": {str(lock): [asdict(package) for package in inventory.packages(lock)] for lock in inventory.LOCKS},
        "platform": [{"name": part.name, "problem": part.problem} for part in parts],
        "charts": [],
    }
    folder.mkdir(parents=True, exist_ok=True)
    path = folder / "inventory.json"
    path.write_text(json.dumps(content, indent=2) + "\n", encoding="utf-8")
    for part in parts:
        if part.problem:
            runner.report(f"{part.name} is not rendered, its images are not listed: {part.problem}")
    runner.report(f"{len(images)} images and the packages of {len(inventory.LOCKS)} locks: {path}")


def _own_digest(image: str) -> str:
    return image.rpartition("@")[2] if "@" in image else ""


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
