"""Tests that a real API server accepts every overlay and component."""

import pytest
import yaml

from tests.e2e.cluster import kubectl
from tests.manifests.test_overlays import CASES
from tests.support.rendering import Object, overlay

pytestmark = pytest.mark.cluster
OTHER_NAMESPACE = "default"
"""A namespace without objects of the product, so that all of them are new."""


@pytest.fixture(scope="module")
def served() -> set[str]:
    """Return the kinds that this cluster serves."""
    return {line.split()[-1] for line in kubectl("api-resources", "--no-headers").splitlines()}


@pytest.mark.parametrize("case", CASES)
def test_the_api_server_accepts_every_object(case: str, served: set[str]) -> None:
    objects = [moved(one) for one in overlay(*CASES[case]) if one["kind"] != "Namespace"]
    unknown = {one["kind"] for one in objects} - served
    if unknown:
        pytest.skip(f"this cluster does not serve {', '.join(sorted(unknown))}")
    output = kubectl(
        "apply", "--dry-run=server", "-f", "-", stdin=yaml.safe_dump_all(objects), namespace=OTHER_NAMESPACE
    )

    assert len(objects) == len(output.splitlines())


def moved(one: Object) -> Object:
    return one | {"metadata": one["metadata"] | {"namespace": OTHER_NAMESPACE}}
