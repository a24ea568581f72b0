"""Public clients against the gateway with the real model servers."""

from collections.abc import Iterator, Mapping

import numpy as np
import pytest
from kserve import InferenceRESTClient, InferInput, InferRequest, RESTConfig
from tritonclient import http as triton
from tritonclient.utils import InferenceServerException

from tests.inference.auth_proxy.conftest import Gateway, as_base64, make_photo, start
from tests.support.model_servers import RunningServer
from tests.support.tiny_release import photo

pytestmark = pytest.mark.slow

COLUMNS: Mapping[str, dict[str, list[bytes]]] = {
    "text-predictor": {"designation": [b"Livre", "Été".encode()]},
    "image-predictor": {"image": [photo(1), photo(2, "PNG")]},
    "fusion-transformer": {"designation": [b"Livre", b""], "description": [b"", b""], "image": [b"", photo(1)]},
}


@pytest.fixture(scope="module")
def gateway_with_models(
    servers: dict[str, RunningServer], tmp_path_factory: pytest.TempPathFactory
) -> Iterator[Gateway]:
    urls = {name: server.url for name, server in servers.items()}
    yield from start(tmp_path_factory.mktemp("gateway"), urls)


def test_text_photo_and_both_are_classified(gateway_with_models: Gateway) -> None:
    image = as_base64(photo(1))
    with gateway_with_models.client() as client:
        answers = [
            client.post("/predict", json=body).json()
            for body in ({"designation": "Livre"}, {"image": image}, {"designation": "Livre", "image": image})
        ]

    modalities = [(a["modalities"]["text"] is not None, a["modalities"]["image"] is not None) for a in answers]
    assert modalities == [(True, False), (False, True), (True, True)]
    assert [a["degraded"] for a in answers] == [False] * 3
    assert len({a["release"] for a in answers}) == 1


def test_a_batch_equals_single_predictions(gateway_with_models: Gateway) -> None:
    rows = [{"designation": "Livre"}, {"image": as_base64(photo(2, "PNG"))}, {}, {"image": as_base64(b"GIF89a")}]
    with gateway_with_models.client() as client:
        together = client.post("/predict/batch", json=rows).json()
        alone = [client.post("/predict", json=row).json() for row in rows]

    assert [a.get("category") for a in together] == [a.get("category") for a in alone]
    assert [a.get("status") for a in together] == [None, None, 422, 422]
    np.testing.assert_allclose([a["confidence"] for a in together[:2]], [a["confidence"] for a in alone[:2]], atol=1e-5)


@pytest.mark.parametrize("place", [0.3, 0.5, 0.7, 0.9])
@pytest.mark.parametrize("kind", ["JPEG", "PNG"])
def test_a_damaged_photo_never_makes_a_server_error(gateway_with_models: Gateway, kind: str, place: float) -> None:
    image = bytearray(make_photo(kind, size=(200, 200)))
    image[int(len(image) * place)] ^= 0x55
    with gateway_with_models.client() as client:
        reply = client.post("/predict", json={"image": as_base64(bytes(image))})
        batch = client.post("/predict/batch", json=[{"image": as_base64(bytes(image))}, {"designation": "x"}])

    assert reply.status_code in {200, 422}
    assert batch.status_code == 200
    assert "category" in batch.json()[1]


@pytest.mark.parametrize("model", sorted(COLUMNS))
def test_a_triton_client_works_unchanged_with_a_token(gateway_with_models: Gateway, model: str) -> None:
    client = triton.InferenceServerClient(f"127.0.0.1:{gateway_with_models.port}")
    headers = gateway_with_models.headers()
    inputs = []
    for name, values in COLUMNS[model].items():
        tensor = triton.InferInput(name, [len(values)], "BYTES")
        tensor.set_data_from_numpy(np.array(values, np.object_))
        inputs.append(tensor)

    assert client.is_server_live(headers=headers)
    assert client.is_server_ready(headers=headers)
    assert client.is_model_ready(model, headers=headers)
    assert client.get_model_metadata(model, headers=headers)["name"] == model
    assert client.get_server_metadata(headers=headers)["name"]
    reply = client.infer(model, inputs, headers=headers)
    with pytest.raises(InferenceServerException, match="access token"):
        client.infer(model, inputs)
    client.close()

    probabilities = reply.as_numpy("probabilities")
    assert probabilities.shape == (2, 27)
    np.testing.assert_allclose(probabilities.sum(axis=1), 1, atol=1e-4)


async def test_the_kserve_client_works_unchanged_with_a_token(gateway_with_models: Gateway) -> None:
    tensor = InferInput("designation", [1], "BYTES")
    tensor.set_data_from_numpy(np.array([b"Livre"], np.object_), binary_data=True)
    v1, v2 = (InferenceRESTClient(RESTConfig(protocol=protocol)) for protocol in ("v1", "v2"))
    headers = gateway_with_models.headers()

    new = await v2.infer(
        gateway_with_models.url, InferRequest("text-predictor", [tensor]), "text-predictor", headers=dict(headers)
    )
    old = await v1.infer(
        gateway_with_models.url, {"instances": [{"designation": "Livre"}]}, "text-predictor", headers=dict(headers)
    )
    await v1.close()
    await v2.close()

    first = old["predictions"][0]
    values = first["probabilities"] if isinstance(first, dict) else first
    np.testing.assert_allclose(new.outputs[0].as_numpy()[0], values, atol=1e-5)


def test_a_wrong_tensor_gets_the_error_of_the_model(gateway_with_models: Gateway) -> None:
    wrong = {"inputs": [{"name": "title", "shape": [1], "datatype": "BYTES", "data": ["x"]}]}
    with gateway_with_models.client() as client:
        reply = client.post("/v2/models/text-predictor/infer", json=wrong)

    assert reply.status_code == 400
    assert "'title'" in reply.json()["error"]


def test_predictions_of_text_and_photo_are_explained(gateway_with_models: Gateway) -> None:
    """The response has the prediction of the same request without explanation."""
    rows = [
        {"designation": "Livre"},
        {"image": as_base64(photo(1))},
        {"designation": "Livre", "image": as_base64(photo(1))},
    ]
    with gateway_with_models.client() as client:
        plain = [client.post("/predict", json=row).json() for row in rows]
        explained = [client.post("/predict", json=row | {"explain": True}).json() for row in rows]
        v1 = client.post("/v1/models/fusion-transformer:explain", json={"instances": [{"designation": "Livre"}]}).json()

    assert [one["category"] for one in plain] == [one["category"] for one in explained]
    assert [pytest.approx(one["confidence"], abs=1e-5) for one in plain] == [one["confidence"] for one in explained]
    found = [one["explanation"] for one in explained]
    assert [(True, False), (False, True), (True, True)] == [
        (one["text"] is not None, one["image"] is not None) for one in found
    ]
    assert found[1]["image"]["heat_map"]
    assert v1["explanations"][0]["text"] == found[0]["text"]
