"""Models of more than a thousand categories return the most probable ones with their codes."""

from collections.abc import Iterator, Mapping
from itertools import product as combinations
from typing import Any

import httpx
import numpy as np
import pytest
from tritonclient import http as triton
from tritonclient.utils import InferenceServerException

from components.shared.rollout.smoke import SmokeTest
from components.shared.serving_check import KnownProduct, ReleaseModels
from product_classifier.evaluation.gate import GateLimits
from product_classifier.releases.release import Release
from product_classifier.taxonomy import Category, Taxonomy
from tests.support.model_servers import MODULES, RunningServer, served
from tests.support.tiny_release import make_release, photo

TAXONOMY = Taxonomy(tuple(Category(f"c{number:04}") for number in range(1001)))
PHOTO = photo(7)
OF_MODEL: Mapping[str, dict[str, list[bytes]]] = {
    "text-predictor": {"designation": [b"Livre", b"Cups"]},
    "image-predictor": {"image": [PHOTO, photo(9)]},
    "fusion-transformer": {"designation": [b"Livre", b""], "image": [PHOTO, photo(9)]},
}


@pytest.fixture(scope="module")
def release(tmp_path_factory: pytest.TempPathFactory) -> Release:
    return make_release(tmp_path_factory.mktemp("many"), 3, TAXONOMY)


@pytest.fixture(scope="module")
def many(release: Release, tmp_path_factory: pytest.TempPathFactory) -> Iterator[dict[str, RunningServer]]:
    with served(list(MODULES), release.path, tmp_path_factory.mktemp("logs")) as running:
        yield running


@pytest.fixture(scope="module")
def models(release: Release) -> ReleaseModels:
    return ReleaseModels(release.path)


def infer(server: RunningServer, *, outputs: list[str] | None = None, **parameters: Any) -> triton.InferResult:
    inputs = []
    for name, values in OF_MODEL[server.name].items():
        tensor = triton.InferInput(name, [len(values)], "BYTES")
        tensor.set_data_from_numpy(np.array(values, np.object_))
        inputs.append(tensor)
    chosen = outputs and [triton.InferRequestedOutput(name) for name in outputs]
    client = triton.InferenceServerClient(f"127.0.0.1:{server.http}")
    try:
        return client.infer(server.name, inputs, outputs=chosen, parameters=parameters or None)
    finally:
        client.close()


def codes_of(result: triton.InferResult, name: str = "codes") -> list[list[str]]:
    return [[one.decode() for one in row] for row in result.as_numpy(name).tolist()]


def test_the_most_probable_categories_are_those_of_the_model_in_their_order(
    many: dict[str, RunningServer], models: ReleaseModels
) -> None:
    result = infer(many["fusion-transformer"])

    for row, known in enumerate([KnownProduct("Livre", "", PHOTO), KnownProduct("", "", photo(9))]):
        every = models.predict(known)
        expected = np.argsort(-every, kind="stable")[:50]
        np.testing.assert_allclose(every[expected], result.as_numpy("probabilities")[row], atol=1e-5)
        assert codes_of(result)[row][:5] == [models.codes[column] for column in expected[:5]]
        assert codes_of(result)[row][0] == result.as_numpy("code")[row].decode()


@pytest.mark.parametrize(("name", "top_k"), list(combinations(sorted(MODULES), [None, 1, 50])))
def test_as_many_categories_as_requested_are_returned(
    many: dict[str, RunningServer], name: str, top_k: int | None
) -> None:
    result = infer(many[name], **({} if top_k is None else {"top_k": top_k}))

    values = result.as_numpy("probabilities")
    assert (2, top_k or 50) == values.shape == result.as_numpy("codes").shape
    assert (np.diff(values, axis=1) <= 0).all()


@pytest.mark.parametrize("top_k", [0, 51, -1, True, "5"])
def test_another_number_of_categories_is_refused(many: dict[str, RunningServer], top_k: object) -> None:
    server = many["text-predictor"]
    body = {
        "inputs": [{"name": "designation", "shape": [1], "datatype": "BYTES", "data": ["Livre"]}],
        "parameters": {"top_k": top_k},
    }

    reply = httpx.post(server.infer, json=body)

    assert (400, True) == (reply.status_code, "parameter 'top_k'" in reply.json()["error"])
    assert "send 1 to 50" in reply.json()["error"]


def test_metadata_says_that_codes_stand_beside_probabilities(many: dict[str, RunningServer]) -> None:
    client = triton.InferenceServerClient(f"127.0.0.1:{many['fusion-transformer'].http}")
    metadata = client.get_model_metadata("fusion-transformer")
    client.close()

    outputs = {one["name"]: (one["datatype"], one["shape"]) for one in metadata["outputs"]}
    assert ("FP32", [-1, -1]) == outputs["probabilities"]
    assert ("BYTES", [-1, -1]) == outputs["codes"] == outputs["text_codes"] == outputs["image_codes"]
    assert ("BYTES", [-1]) == outputs["code"]
    assert "50" == metadata["properties"]["top_k"]


def test_a_client_may_request_the_codes_alone(many: dict[str, RunningServer]) -> None:
    result = infer(many["text-predictor"], outputs=["codes"])

    assert ["codes"] == [one["name"] for one in result.get_response()["outputs"]]


def test_v1_returns_both(many: dict[str, RunningServer]) -> None:
    server = many["text-predictor"]

    (row,) = httpx.post(server.predict, json={"instances": ["Livre"], "parameters": {"top_k": 3}}).json()["predictions"]

    assert [3, 3] == [len(row["probabilities"]), len(row["codes"])]


def test_the_smoke_test_passes(many: dict[str, RunningServer], models: ReleaseModels, release: Release) -> None:
    limits = GateLimits(min_gain=0.01, confidence=0.9, min_items=5, max_drop=0.25, max_slowdown=3.0, slow_ms=50.0)
    smoke = SmokeTest(many["fusion-transformer"].url, limits, 20)

    smoke.verify_serving(release.id, models, None)


def test_a_model_of_few_categories_has_no_output_of_codes(servers: dict[str, RunningServer]) -> None:
    server = servers["text-predictor"]

    assert (2, 27) == infer(server, top_k=5).as_numpy("probabilities").shape
    with pytest.raises(InferenceServerException, match="more than 1000 categories"):
        infer(server, outputs=["codes"])
