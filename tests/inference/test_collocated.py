"""Three models in one process respond like three processes."""

import base64
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import httpx
import pytest

from operations.local.service_table import services
from operations.local.settings import Settings
from product_classifier.releases.release import Release
from tests.support.model_servers import MODULES, RunningServer, served
from tests.support.tiny_release import photo


@pytest.fixture(scope="module")
def collocated(releases: tuple[Release, Release], tmp_path_factory: pytest.TempPathFactory) -> Iterator[RunningServer]:
    with served(["collocated"], releases[0].path, tmp_path_factory.mktemp("logs")) as running:
        yield running["collocated"]


def tensor(name: str, *values: str | bytes) -> dict[str, Any]:
    data = [value if isinstance(value, str) else base64.b64encode(value).decode() for value in values]
    return {"name": name, "shape": [len(values)], "datatype": "BYTES", "data": data}


PHOTOS = photo(7), photo(99), photo(3)
REQUESTS: dict[str, tuple[str, list[dict[str, Any]]]] = {
    "text": ("text-predictor", [tensor("designation", "Livre", ""), tensor("description", "", "neuve")]),
    "photos": ("image-predictor", [tensor("image", *PHOTOS)]),
    "products": (
        "fusion-transformer",
        [tensor("designation", "Livre", "Lampe", ""), tensor("image", PHOTOS[0], b"", PHOTOS[1])],
    ),
    "an invalid photo": ("fusion-transformer", [tensor("designation", "x", ""), tensor("image", b"", b"no photo")]),
    "an empty product": ("fusion-transformer", [tensor("designation", "x", " ")]),
    "a text over the limit": ("fusion-transformer", [tensor("designation", "x" * 100_001)]),
    "an unknown input": ("image-predictor", [tensor("photo", "x")]),
    "an unknown model": ("sound-predictor", [tensor("sound", "x")]),
}


@pytest.mark.parametrize("case", REQUESTS)
def test_responses_equal_those_of_three_processes(
    collocated: RunningServer, servers: dict[str, RunningServer], case: str
) -> None:
    model, inputs = REQUESTS[case]
    request = {"id": "1", "inputs": inputs}
    apart = servers.get(model, servers["text-predictor"])

    expected, actual = (
        httpx.post(f"{url}/v2/models/{model}/infer", json=request, headers={"X-Request-Id": "id-1"})
        for url in (apart.url, collocated.url)
    )

    assert expected.status_code == actual.status_code
    if model in servers:
        assert expected.json() == actual.json()


@pytest.mark.parametrize("model", MODULES)
def test_metadata_equals_that_of_three_processes(
    collocated: RunningServer, servers: dict[str, RunningServer], model: str
) -> None:
    path = f"/v2/models/{model}"

    assert httpx.get(servers[model].url + path).json() == httpx.get(collocated.url + path).json()
    assert {"name": model, "ready": True} == httpx.get(f"{collocated.url}{path}/ready").json()


def test_a_release_can_be_requested_by_name(collocated: RunningServer, releases: tuple[Release, Release]) -> None:
    request = {"inputs": [tensor("designation", "Livre")]}
    url = f"{collocated.url}/v2/models/fusion-transformer/infer"

    known, unknown = (
        httpx.post(url, json=request | {"parameters": {"release": name}}) for name in (releases[0].id, releases[1].id)
    )

    assert (200, 404) == (known.status_code, unknown.status_code)
    assert releases[0].id == known.json()["parameters"]["release"]


def test_metrics_count_the_requests_between_the_models(collocated: RunningServer) -> None:
    httpx.post(
        f"{collocated.url}/v2/models/fusion-transformer/infer", json={"inputs": [tensor("designation", "Livre")]}
    ).raise_for_status()

    metrics = httpx.get(f"{collocated.url}/metrics").text

    assert 'predictor_request_duration_seconds_count{outcome="ok",predictor="text-predictor"}' in metrics
    assert all(f'model_release_info{{model_name="{model}"' in metrics for model in MODULES)


@pytest.mark.parametrize(("collocated", "expected"), [(False, 3), (True, 1)], ids=str)
def test_a_local_run_starts_one_process_or_three(collocated: bool, expected: int, tmp_path: Path) -> None:
    planned = services(Settings(port=9000, state_dir=tmp_path, collocated=collocated))
    (gateway,) = [service for service in planned if service.name == "auth-proxy"]
    models = [service for service in planned if "--model_dir" in service.command]

    addresses = {gateway.environment[f"AUTH_PROXY_{one}_URL"] for one in ("TEXT", "IMAGE", "FUSION")}

    assert expected == len(models) == len(addresses)
    assert {f"http://127.0.0.1:{service.ports['http']}" for service in models} == addresses
