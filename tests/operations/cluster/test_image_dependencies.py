"""Every image has the packages that its modules import."""

import json
import subprocess
import sys
from importlib import metadata
from pathlib import Path

import pytest
from packaging.requirements import Requirement
from packaging.utils import canonicalize_name

from operations.cluster.images import IMAGES, SERVICE_DOCKERFILE, Image

pytestmark = pytest.mark.slow

REPOSITORY = Path(__file__).parents[3]
SERVICES = [image for image in IMAGES if image.dockerfile == SERVICE_DOCKERFILE and image.name != "mlflow"]

IMPORT_WITH_ONLY = """
import importlib, json, pkgutil, sys
from importlib.machinery import PathFinder

class ImageFinder(PathFinder):
    # Finds what the finder of this environment finds, except for absent modules.

    @classmethod
    def find_spec(cls, name, path=None, target=None):
        return None if name.partition(".")[0] in absent else super().find_spec(name, path, target)

absent, packages, other = json.load(sys.stdin)
sys.meta_path[sys.meta_path.index(PathFinder)] = ImageFinder
names = []
for package in packages:
    path = importlib.import_module(package).__path__
    names += [module.name for module in pkgutil.walk_packages(path, f"{package}.")]
names = [name for name in names if not other or not name.startswith(other)]
for name in names:
    importlib.import_module(name)
print(len(names))
"""


def distributions_of(extras: str) -> set[str]:
    """Return the installed distributions that extras need, directly or not."""
    waiting, seen, found = [Requirement(f"product-classifier[{extras}]")], set(), set()
    while waiting:
        requirement = waiting.pop()
        key = canonicalize_name(requirement.name), frozenset(requirement.extras)
        if key in seen:
            continue
        seen.add(key)
        try:
            distribution = metadata.distribution(requirement.name)
        except metadata.PackageNotFoundError:
            continue
        found.add(key[0])
        chosen = [{"extra": name} for name in {"", *requirement.extras}]
        waiting += (
            required
            for required in map(Requirement, distribution.requires or ())
            if required.marker is None or any(map(required.marker.evaluate, chosen))
        )
    return found


def absent_modules(extras: str) -> list[str]:
    """Return the top-level modules of this environment that the image of the extras does not have."""
    installed = distributions_of(extras)
    return sorted(
        module
        for module, owners in metadata.packages_distributions().items()
        if installed.isdisjoint(map(canonicalize_name, owners))
    )


def imported(extras: str, *packages: str, other: str = "") -> int:
    """Import the modules of packages, except those of another image, with only the extras; count them."""
    absent = absent_modules(extras)
    assert {"supervisor", "pytest"} <= set(absent)

    result = subprocess.run(
        [sys.executable, "-c", IMPORT_WITH_ONLY],
        cwd=REPOSITORY,
        input=json.dumps([absent, packages, other]),
        capture_output=True,
        text=True,
        check=False,
    )

    assert 0 == result.returncode, result.stderr
    return int(result.stdout)


@pytest.mark.parametrize("image", SERVICES, ids=lambda image: image.name)
def test_every_module_of_a_service_is_imported_with_the_packages_of_its_image(image: Image) -> None:
    arguments = dict(image.arguments)

    assert imported(arguments["EXTRA"], f"inference.{arguments['SERVICE']}") >= 2


def test_every_module_of_the_pipelines_is_imported_with_the_packages_of_the_trainer() -> None:
    pytest.importorskip("torch")

    assert imported("train,encoders,packaged-encoders", "components", "pipelines", other="pipelines.retrain.") >= 100


def test_every_module_of_the_trigger_is_imported_with_the_packages_of_the_feedback_service() -> None:
    assert imported("feedback", "pipelines.retrain") >= 5


def test_a_module_of_an_absent_package_is_refused() -> None:
    with pytest.raises(AssertionError, match="No module named 'yaml'"):
        imported("simulate", "operations.local")
