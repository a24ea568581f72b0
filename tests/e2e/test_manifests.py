"""A real API server takes every overlay, and every component on top of one."""

import pytest
import yaml

from tests.e2e.cluster import kubectl
from tests.manifests.test_overlays import CASES, overlay
from tests.support.rendering import Object

pytestmark = pytest.mark.cluster
ELSEWHERE = "default"
"""A namespace where none of our objects is, so that all of them are new."""


@pytest.fixture(scope="module")
def served() -> set[str]:
    """Return the kinds that this cluster knows."""
    return {line.split()[-1] for line in kubectl("api-resources", "--no-headers").splitlines()}


@pytest.mark.parametrize("case", CASES)
def test_the_api_takes_everything(case: str, served: set[str]) -> None:
    objects = [elsewhere(one) for one in overlay(*CASES[case]) if one["kind"] != "Namespace"]
    unknown = {one["kind"] for one in objects} - served
    if unknown:
        pytest.skip(f"this cluster does not serve {', '.join(sorted(unknown))}")
    said = kubectl("apply", "--dry-run=server", "-f", "-", given=yaml.safe_dump_all(objects), namespace=ELSEWHERE)

    assert len(objects) == len(said.splitlines())


def elsewhere(one: Object) -> Object:
    return one | {"metadata": one["metadata"] | {"namespace": ELSEWHERE}}
