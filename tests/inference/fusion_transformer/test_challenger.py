"""A challenger beside the champion, as a canary and as a shadow."""

import asyncio
import base64
import shutil
import time
from collections.abc import Iterator
from pathlib import Path

import httpx
import numpy as np
import pytest
from prometheus_client import REGISTRY

from inference.fusion_transformer.challenger import Canary, Shadow, complete_or_none
from inference.oip.types import ModelRequest, ModelResponse
from product_classifier.errors import ModelUnavailable
from product_classifier.releases.release import Release
from tests.support.model_servers import RunningServer, served
from tests.support.tiny_release import photo

ANSWERS = "release_response_duration_seconds_count"

PHOTO = photo(7)


def request(title: str, picture: bytes = b"") -> ModelRequest:
    return ModelRequest(1, {"designation": [title], "description": [""], "image": [picture]})


@pytest.mark.parametrize(("share", "fewest", "most"), [(0.0, 0, 0), (0.1, 60, 140), (0.5, 430, 570), (1.0, 1000, 1000)])
def test_a_canary_serves_its_share_of_the_products(share: float, fewest: int, most: int) -> None:
    served_count = sum(Canary("r-2", share).serves(request(f"produit {number}")) for number in range(1000))

    assert fewest <= served_count <= most


def test_a_product_is_always_served_by_the_same_release() -> None:
    products = [request(f"produit {number}", PHOTO) for number in range(50)]
    decisions = [[Canary("r-2", 0.5).serves(product) for product in products] for _ in range(2)]

    assert decisions[0] == decisions[1]
    assert decisions[0] != [Canary("r-3", 0.5).serves(product) for product in products]


def test_the_boundary_between_texts_is_part_of_the_content() -> None:
    canary = Canary("r-2", 0.5)
    joined = [ModelRequest(1, {"designation": ["a" * n], "description": ["a" * (40 - n)]}) for n in range(41)]

    assert {True, False} == {canary.serves(one) for one in joined}


def test_without_a_challenger_no_product_is_served_by_it() -> None:
    assert not Canary("", 1.0).serves(request("Livre"))


def response(codes: list[int], release: str = "r-2", *, degraded: bool = False) -> ModelResponse:
    return ModelResponse({"code": np.array(codes)}, release, "v", {"degraded": degraded})


def counted(name: str, **labels: str) -> float:
    return REGISTRY.get_sample_value(f"product_classifier_{name}", labels) or 0.0


async def test_a_shadow_is_compared_row_by_row() -> None:
    async def predict() -> ModelResponse:
        return response([10, 40, 60], "r-row")

    shadow = Shadow("r-row", 4)
    shadow.compare(response([10, 50, 60]), predict)
    await asyncio.sleep(0.01)

    found = [counted("shadow_products_total", release="r-row", agreement=one) for one in ("same", "other")]
    assert [2.0, 1.0] == found


async def test_a_slow_shadow_skips_products_and_is_cancelled_with_the_server() -> None:
    async def never() -> ModelResponse:
        await asyncio.sleep(60)
        raise AssertionError

    shadow = Shadow("r-slow", 2)
    for _ in range(5):
        shadow.compare(response([10]), never)
    await asyncio.sleep(0.01)
    await shadow.close()

    assert 3.0 == counted(
        ANSWERS,
        release="r-slow",
        role="shadow",
        outcome="left_out",
    )


@pytest.mark.parametrize(
    ("error", "degraded", "outcome"),
    [(ModelUnavailable("down"), False, "failed"), (ValueError("a mistake"), False, "failed"), (None, True, "degraded")],
    ids=["unavailable", "error", "degraded"],
)
async def test_a_challenger_that_fails_or_is_degraded_gives_no_response(
    error: Exception | None, degraded: bool, outcome: str
) -> None:
    async def predict() -> ModelResponse:
        if error:
            raise error
        return response([10], "r-bad", degraded=degraded)

    before = counted(ANSWERS, release="r-bad", role="canary", outcome=outcome)

    assert await complete_or_none(predict, "r-bad", "canary") is None
    assert before + 1 == counted(ANSWERS, release="r-bad", role="canary", outcome=outcome)


@pytest.fixture(scope="module")
def held(tmp_path_factory: pytest.TempPathFactory, releases: tuple[Release, Release]) -> Path:
    """Both releases in one folder, as in a container."""
    folder = tmp_path_factory.mktemp("held")
    for release in releases:
        shutil.copytree(release.path, folder / release.id.lower())
    return folder


@pytest.fixture(scope="module")
def predictors(
    held: Path, releases: tuple[Release, Release], tmp_path_factory: pytest.TempPathFactory
) -> Iterator[dict[str, str]]:
    names, logs = ["text-predictor", "image-predictor"], tmp_path_factory.mktemp("logs")
    with served(names, held, logs, "--release", releases[0].id) as running:
        yield {"FUSION_TEXT_URL": running[names[0]].url, "FUSION_IMAGE_URL": running[names[1]].url}


def release_of(server: RunningServer, title: str) -> str:
    inputs = [
        {"name": "designation", "shape": [1], "datatype": "BYTES", "data": [title]},
        {"name": "image", "shape": [1], "datatype": "BYTES", "data": [base64.b64encode(PHOTO).decode()]},
    ]
    reply = httpx.post(server.infer, json={"inputs": inputs}, timeout=30).json()
    assert False is reply["parameters"]["degraded"]
    return str(reply["parameters"]["release"])


def test_one_release_can_be_canary_and_shadow(
    held: Path, releases: tuple[Release, Release], predictors: dict[str, str], logs: Path
) -> None:
    champion, challenger = (release.id for release in releases)
    environment = {
        **predictors,
        "FUSION_CANARY_RELEASE": challenger,
        "FUSION_CANARY_SHARE": "0.5",
        "FUSION_SHADOW_RELEASE": challenger,
    }
    with served(["fusion-transformer"], held, logs, "--release", champion, environment=environment) as running:
        server = running["fusion-transformer"]
        served_by = [[release_of(server, f"produit {number}") for number in range(20)] for _ in range(2)]
        time.sleep(0.2)
        metrics = httpx.get(f"{server.url}/metrics").text

    by_champion = served_by[0].count(champion) * 2
    shadowed = f'{ANSWERS}{{outcome="ok",release="{challenger}",role="shadow"}}'
    assert served_by[0] == served_by[1]
    assert {champion, challenger} == set(served_by[0])
    assert f"{shadowed} {by_champion:.1f}" in metrics


def test_the_champion_serves_the_products_of_a_canary_that_fails(
    held: Path, releases: tuple[Release, Release], predictors: dict[str, str], logs: Path
) -> None:
    environment = {**predictors, "FUSION_CANARY_RELEASE": "r-not-here", "FUSION_CANARY_SHARE": "1"}
    with served(["fusion-transformer"], held, logs, "--release", releases[0].id, environment=environment) as running:
        server = running["fusion-transformer"]
        release = release_of(server, "Livre")
        metrics = httpx.get(f"{server.url}/metrics").text

    assert releases[0].id == release
    assert f'{ANSWERS}{{outcome="failed",release="r-not-here",role="canary"}} 1.0' in metrics
