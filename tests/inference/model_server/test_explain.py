"""`:explain` (KServe V1) of the three models, over real servers."""

import asyncio
import base64
import io
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import httpx
import numpy as np
import pytest
from kserve import InferenceRESTClient, RESTConfig
from PIL import Image

from product_classifier.catalogue.challenge import CHALLENGE
from product_classifier.images.occlusion import GRID
from product_classifier.limits import EXPLANATION_PRODUCTS
from product_classifier.probabilities import softmax
from product_classifier.releases.release import Release, load_fusion
from tests.support.fixtures_models import draw_photo
from tests.support.model_servers import COLLOCATED, MODULES, RunningServer, served

TITLE = "Été <b>piscine</b> solide"
PHOTO = base64.b64encode(draw_photo(5)).decode()
BOTH = {"designation": TITLE, "image": {"b64": PHOTO}}


def explain(
    server: RunningServer, instances: list[Any], model: str = "", status: int = 200, **parameters: object
) -> dict[str, Any]:
    url = f"{server.url}/v1/models/{model or server.name}:explain"
    reply = httpx.post(url, json={"instances": instances, "parameters": parameters}, timeout=30)
    assert status == reply.status_code, reply.text
    document: dict[str, Any] = reply.json()
    return document


def predict(server: RunningServer, instances: list[Any]) -> list[Any]:
    return list(httpx.post(server.predict, json={"instances": instances}, timeout=30).json()["predictions"])


def test_text_is_explained_by_the_words_as_they_were_written(servers: dict[str, RunningServer]) -> None:
    server = servers["text-predictor"]
    (explanation,) = explain(server, [{"designation": TITLE}])["explanations"]

    text = explanation["text"]
    assert ["Été", "piscine", "solide"] == [word["text"] for word in text["words"]]
    assert all(word["text"] == TITLE[word["start"] : word["end"]] for word in text["words"])
    assert text["score"] == pytest.approx(text["intercept"] + sum(word["contribution"] for word in text["words"]))
    (probabilities,) = predict(server, [TITLE])
    assert 2583 == explanation["code"] == int(CHALLENGE.codes[int(np.argmax(probabilities))])
    assert max(probabilities) == pytest.approx(explanation["probability"], abs=1e-6)
    assert "piscine" == max(text["words"], key=lambda word: word["contribution"])["text"]


def test_a_named_category_is_explained_instead_of_the_predicted(servers: dict[str, RunningServer]) -> None:
    server = servers["text-predictor"]
    document = explain(server, [TITLE, TITLE], code=[10, 2583])

    first, second = document["explanations"]
    assert (10, 2583) == (first["code"], second["code"])
    assert first["probability"] < second["probability"]
    for code in (10, "10"):
        assert [10, 10] == [one["code"] for one in explain(server, [TITLE, "Livre"], code=code)["explanations"]]


def test_a_photo_is_explained_by_a_grid(servers: dict[str, RunningServer]) -> None:
    server = servers["image-predictor"]
    (explanation,) = explain(server, [{"b64": PHOTO}])["explanations"]

    image = explanation["image"]
    assert (GRID, GRID) == np.shape(image["grid"])
    assert max(max(row) for row in image["grid"]) <= explanation["probability"]
    assert image["heat_map"] is None
    assert max(predict(server, [{"b64": PHOTO}])[0]) == pytest.approx(explanation["probability"], abs=1e-5)


def test_a_heat_map_is_a_png(servers: dict[str, RunningServer]) -> None:
    (explanation,) = explain(servers["image-predictor"], [PHOTO], heat_map=True)["explanations"]

    image = Image.open(io.BytesIO(base64.b64decode(explanation["image"]["heat_map"])))
    assert "PNG" == image.format


def test_the_fusion_explains_both_modalities_and_their_shares(
    servers: dict[str, RunningServer], releases: tuple[Release, Release]
) -> None:
    server = servers["fusion-transformer"]
    document = explain(server, [BOTH], predictions=True)
    (explanation,), (prediction,) = document["explanations"], document["predictions"]

    position = int(np.argmax(prediction["probabilities"]))
    assert int(CHALLENGE.codes[position]) == explanation["code"] == prediction["code"]
    fusion = explanation["fusion"]
    for modality in ("text", "image"):
        assert prediction[f"{modality}_probabilities"][position] == pytest.approx(fusion[modality]["probability"])
        assert explanation[modality] is not None
    parts = [fusion["intercept"], fusion["text"]["contribution"], fusion["image"]["contribution"]]
    assert fusion["score"] == pytest.approx(sum(parts))
    assert (releases[0].id, False) == (document["release"], document["degraded"])


def test_the_scores_of_all_categories_give_the_probabilities(
    servers: dict[str, RunningServer], releases: tuple[Release, Release]
) -> None:
    server = servers["fusion-transformer"]
    (prediction,) = predict(server, [BOTH])
    per_request = [CHALLENGE.codes[at : at + EXPLANATION_PRODUCTS] for at in range(0, 27, EXPLANATION_PRODUCTS)]
    found = [explain(server, [{"designation": TITLE}] * len(codes), code=list(codes)) for codes in per_request]
    scores = [one["fusion"]["score"] for document in found for one in document["explanations"]]

    (alone,) = predict(server, [{"designation": TITLE}])
    mixture = float(load_fusion(releases[0].path)[0].uniform_mixture[1])
    expected = (1 - mixture) * softmax(np.array(scores, np.float32)) + mixture / 27
    np.testing.assert_allclose(alone["probabilities"], expected, atol=1e-5)
    assert prediction["probabilities"] != alone["probabilities"]


@pytest.mark.parametrize(
    ("instance", "present"),
    [({"designation": TITLE}, ["text"]), ({"image": {"b64": PHOTO}}, ["image"]), (BOTH, ["image", "text"])],
)
def test_only_modalities_of_the_product_are_explained(
    servers: dict[str, RunningServer], instance: dict[str, Any], present: list[str]
) -> None:
    (explanation,) = explain(servers["fusion-transformer"], [instance])["explanations"]

    assert present == sorted(one for one in ("text", "image") if explanation[one] is not None)
    assert present == sorted(one for one in ("text", "image") if explanation["fusion"][one] is not None)
    assert "unavailable" not in explanation


INVALID: dict[str, tuple[dict[str, Any], list[str]]] = {
    "unknown code": ({"code": 11}, ["'code'", "11", "metadata"]),
    "code of another type": ({"code": 1.5}, ["'code'", "1.5"]),
    "too many codes": ({"code": [10, 10]}, ["2 codes for 1 instances"]),
    "flag": ({"heat_map": "yes"}, ["'heat_map'", "'yes'", "true or false"]),
}


@pytest.mark.parametrize("case", INVALID)
@pytest.mark.parametrize("model", sorted(MODULES))
def test_an_invalid_parameter_is_named(servers: dict[str, RunningServer], model: str, case: str) -> None:
    parameters, words = INVALID[case]
    instance = {"b64": PHOTO} if model == "image-predictor" else {"designation": TITLE}
    document = explain(servers[model], [instance], status=400, **parameters)

    assert not [word for word in words if word not in document["error"]], document["error"]


def test_an_invalid_photo_and_too_many_rows_are_refused(servers: dict[str, RunningServer]) -> None:
    broken = {"image": {"b64": base64.b64encode(b"GIF89a").decode()}}
    rows = [{"designation": "x"}] * (EXPLANATION_PRODUCTS + 1)

    assert 1 == explain(servers["fusion-transformer"], [{"designation": "x"}, broken], status=400)["row"]
    assert str(EXPLANATION_PRODUCTS) in explain(servers["text-predictor"], rows, status=400)["error"]
    assert "release_not_loaded" == explain(servers["text-predictor"], ["x"], status=404, release="r-0")["kind"]


def test_a_degraded_prediction_is_explained_by_what_it_used(releases: tuple[Release, Release], logs: Path) -> None:
    with served(["text-predictor", "fusion-transformer"], releases[0].path, logs) as running:
        document = explain(running["fusion-transformer"], [BOTH])

    (explanation,) = document["explanations"]
    assert (True, "image") == (document["degraded"], document["unavailable"])
    assert (None, None) == (explanation["image"], explanation["fusion"]["image"])
    assert explanation["text"]["words"]


async def test_explanations_in_progress_are_bounded(releases: tuple[Release, Release], logs: Path) -> None:
    """Without a slot an explanation is refused at once, while predictions are served."""
    with served(["image-predictor"], releases[0].path, logs, "--max_explanations", "0") as running:
        server = running["image-predictor"]
        reply = await asyncio.to_thread(
            httpx.post, f"{server.url}/v1/models/{server.name}:explain", json={"instances": [PHOTO]}
        )
        predictions = await asyncio.to_thread(predict, server, [PHOTO])

    assert (503, "overloaded", "1") == (reply.status_code, reply.json()["kind"], reply.headers["retry-after"])
    assert 27 == len(predictions[0])


@pytest.fixture(scope="module")
def collocated(releases: tuple[Release, Release], tmp_path_factory: pytest.TempPathFactory) -> Iterator[RunningServer]:
    with served(list(COLLOCATED), releases[0].path, tmp_path_factory.mktemp("logs")) as running:
        yield running["collocated"]


def test_one_process_explains_as_three_do(servers: dict[str, RunningServer], collocated: RunningServer) -> None:
    apart = explain(servers["fusion-transformer"], [BOTH])
    together = explain(collocated, [BOTH], model="fusion-transformer")

    assert apart["explanations"][0]["text"] == together["explanations"][0]["text"]
    np.testing.assert_allclose(
        apart["explanations"][0]["image"]["grid"], together["explanations"][0]["image"]["grid"], atol=1e-6
    )


async def test_the_kserve_client_explains(servers: dict[str, RunningServer]) -> None:
    client = InferenceRESTClient(RESTConfig(protocol="v1"))
    server = servers["text-predictor"]
    reply = await client.explain(server.url, data={"instances": [TITLE]}, model_name=server.name)

    assert isinstance(reply, dict)
    assert 2583 == reply["explanations"][0]["code"]
