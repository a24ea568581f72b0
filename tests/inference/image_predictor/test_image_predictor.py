"""The image predictor over HTTP."""

import base64
import struct

import httpx
import numpy as np
import orjson
import pytest

from product_classifier.releases.release import Release, load_image
from tests.support.model_servers import RunningServer
from tests.support.tiny_release import photo

PHOTOS = [photo(1), photo(90, "PNG"), photo(180)]


@pytest.fixture
def server(servers: dict[str, RunningServer]) -> RunningServer:
    return servers["image-predictor"]


@pytest.fixture(scope="module")
def expected(releases: tuple[Release, Release]) -> np.ndarray:
    model, _ = load_image(releases[0].path)
    return model.probabilities(PHOTOS)


def coded(data: bytes) -> str:
    return base64.b64encode(data).decode()


def binary_request(photos: list[bytes], **parameters: object) -> tuple[bytes, dict[str, str]]:
    tail = b"".join(struct.pack("<I", len(one)) + one for one in photos)
    tensor = {
        "name": "image",
        "shape": [len(photos)],
        "datatype": "BYTES",
        "parameters": {"binary_data_size": len(tail)},
    }
    head = orjson.dumps({"inputs": [tensor], "parameters": parameters})
    return head + tail, {"Inference-Header-Content-Length": str(len(head))}


def test_v2_json_accepts_base64(server: RunningServer, expected: np.ndarray) -> None:
    tensor = {"name": "image", "shape": [3], "datatype": "BYTES", "data": [coded(one) for one in PHOTOS]}

    (output,) = httpx.post(server.infer, json={"inputs": [tensor]}).json()["outputs"]

    np.testing.assert_allclose(np.reshape(output["data"], (3, 27)), expected, atol=1e-5)


def test_v2_binary_accepts_encoded_photos(server: RunningServer, expected: np.ndarray) -> None:
    body, headers = binary_request(PHOTOS)

    (output,) = httpx.post(server.infer, content=body, headers=headers).json()["outputs"]

    np.testing.assert_allclose(np.reshape(output["data"], (3, 27)), expected, atol=1e-5)


def test_v2_responds_with_binary_tensors_on_request(server: RunningServer, expected: np.ndarray) -> None:
    body, headers = binary_request(PHOTOS, binary_data_output=True)

    reply = httpx.post(server.infer, content=body, headers=headers)

    size = int(reply.headers["inference-header-content-length"])
    (output,) = orjson.loads(reply.content[:size])["outputs"]
    assert {"binary_data_size": 3 * 27 * 4} == output["parameters"]
    np.testing.assert_allclose(np.frombuffer(reply.content[size:], "<f4").reshape(3, 27), expected, atol=1e-5)


@pytest.mark.parametrize(
    "wrap",
    [lambda b64: {"image": {"b64": b64}}, lambda b64: {"b64": b64}, lambda b64: {"image": b64}, lambda b64: b64],
    ids=["object", "bare object", "string by name", "bare string"],
)
def test_v1_accepts_every_usual_form(server: RunningServer, expected: np.ndarray, wrap: object) -> None:
    assert callable(wrap)

    reply = httpx.post(server.predict, json={"instances": [wrap(coded(PHOTOS[0]))]}).json()

    np.testing.assert_allclose(reply["predictions"], expected[:1], atol=1e-5)


def test_metadata_names_the_photo(server: RunningServer) -> None:
    metadata = httpx.get(f"{server.url}/v2/models/image-predictor").json()

    assert [{"name": "image", "datatype": "BYTES", "shape": [-1]}] == metadata["inputs"]


@pytest.mark.parametrize(
    ("data", "reason"),
    [
        (b"", "the image is empty"),
        (b"<svg xmlns='http://www.w3.org/2000/svg'/>", "is not accepted"),
        (b"GIF89a\x01\x00\x01\x00", "GIF is not accepted"),
        (PHOTOS[0][:200], ""),
        (b"\x89PNG\r\n\x1a\n" + b"\0" * 40, ""),
    ],
    ids=["empty", "svg", "gif", "truncated", "broken png"],
)
def test_an_invalid_photo_is_refused_with_its_row(server: RunningServer, data: bytes, reason: str) -> None:
    body, headers = binary_request([PHOTOS[0], data])

    reply = httpx.post(server.infer, content=body, headers=headers)

    error = reply.json()
    assert (400, "image", 1, "invalid") == (reply.status_code, error["input"], error["row"], error["kind"])
    assert "input 'image', row 1: " in error["error"]
    assert reason in error["error"]
