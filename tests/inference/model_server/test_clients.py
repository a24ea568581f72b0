"""Public clients, unchanged, against all three models."""

import base64
import json
import subprocess
import sys
from collections.abc import Mapping
from pathlib import Path

import httpx
import numpy as np
import pytest
from kserve import InferenceGRPCClient, InferenceRESTClient, InferInput, InferRequest, RESTConfig
from tritonclient import http as triton

from tests.support.model_servers import MODULES, RunningServer
from tests.support.tiny_release import photo

TEXTS = {"designation": [b"Livre", "Été".encode()], "description": [b"", b"<b>neuf</b>"]}
PHOTOS = {"image": [photo(1), photo(2, "PNG")]}
COLUMNS: Mapping[str, Mapping[str, list[bytes]]] = {
    "text-predictor": TEXTS,
    "image-predictor": PHOTOS,
    "fusion-transformer": {**TEXTS, "image": [photo(1), b""]},
}


@pytest.fixture(params=sorted(MODULES))
def server(request: pytest.FixtureRequest, servers: dict[str, RunningServer]) -> RunningServer:
    return servers[request.param]


@pytest.fixture
def columns(server: RunningServer) -> Mapping[str, list[bytes]]:
    return COLUMNS[server.name]


@pytest.fixture
def expected(server: RunningServer, columns: Mapping[str, list[bytes]]) -> np.ndarray:
    """The response to a plain V2 JSON request."""
    inputs = [
        {
            "name": name,
            "shape": [len(values)],
            "datatype": "BYTES",
            "data": [readable(name, value) for value in values],
        }
        for name, values in columns.items()
    ]
    reply = httpx.post(server.infer, json={"inputs": inputs}).json()
    return np.reshape(reply["outputs"][0]["data"], reply["outputs"][0]["shape"])


def readable(name: str, value: bytes) -> str:
    return base64.b64encode(value).decode() if name == "image" else value.decode()


def kserve_request(model: str, columns: Mapping[str, list[bytes]], *, binary: bool) -> InferRequest:
    inputs = []
    for name, values in columns.items():
        tensor = InferInput(name, [len(values)], "BYTES")
        if binary:
            tensor.set_data_from_numpy(np.array(values, np.object_), binary_data=True)
        else:
            tensor.data = [readable(name, value) for value in values]
        inputs.append(tensor)
    return InferRequest(model, inputs)


@pytest.mark.parametrize("binary", [True, False], ids=["binary", "json"])
async def test_kserve_v2(
    server: RunningServer, columns: Mapping[str, list[bytes]], expected: np.ndarray, *, binary: bool
) -> None:
    client = InferenceRESTClient(RESTConfig(protocol="v2"))

    assert await client.is_server_ready(server.url)
    assert await client.is_model_ready(server.url, server.name)
    reply = await client.infer(server.url, kserve_request(server.name, columns, binary=binary), server.name)
    await client.close()

    np.testing.assert_allclose(reply.outputs[0].as_numpy(), expected, atol=1e-5)
    assert server.name == reply.model_name


async def test_kserve_v1(server: RunningServer, columns: Mapping[str, list[bytes]], expected: np.ndarray) -> None:
    client = InferenceRESTClient(RESTConfig(protocol="v1"))
    rows = zip(*columns.values(), strict=True)
    instances = [{name: readable(name, value) for name, value in zip(columns, row, strict=True)} for row in rows]

    reply = await client.infer(server.url, {"instances": instances}, server.name)
    await client.close()

    predictions = [row["probabilities"] if isinstance(row, dict) else row for row in reply["predictions"]]
    np.testing.assert_allclose(predictions, expected, atol=1e-5)


@pytest.mark.parametrize("raw", [True, False], ids=["raw", "contents"])
async def test_kserve_grpc(
    server: RunningServer, columns: Mapping[str, list[bytes]], expected: np.ndarray, *, raw: bool
) -> None:
    client = InferenceGRPCClient(f"127.0.0.1:{server.grpc}")
    request = kserve_request(server.name, columns, binary=True)
    if not raw:
        for tensor in request.inputs:
            tensor._raw_data = None
            tensor.data = columns[tensor.name]

    assert await client.is_server_ready()
    assert await client.is_model_ready(server.name)
    reply = await client.infer(request)
    await client.close()

    np.testing.assert_allclose(reply.outputs[0].as_numpy(), expected, atol=1e-5)


@pytest.mark.parametrize("chosen", [True, False], ids=["one output", "all outputs"])
def test_triton_http(
    server: RunningServer, columns: Mapping[str, list[bytes]], expected: np.ndarray, *, chosen: bool
) -> None:
    client = triton.InferenceServerClient(f"127.0.0.1:{server.http}")
    inputs = []
    for name, values in columns.items():
        tensor = triton.InferInput(name, [len(values)], "BYTES")
        tensor.set_data_from_numpy(np.array(values, np.object_))
        inputs.append(tensor)

    assert client.is_server_live()
    assert client.is_server_ready()
    assert client.is_model_ready(server.name)
    assert {"designation", "description", "image"} >= {
        one["name"] for one in client.get_model_metadata(server.name)["inputs"]
    }
    outputs = [triton.InferRequestedOutput("probabilities")] if chosen else None
    reply = client.infer(server.name, inputs, outputs=outputs)
    client.close()

    np.testing.assert_allclose(reply.as_numpy("probabilities"), expected, atol=1e-5)
    assert reply.get_response()["parameters"]["release"]


def test_triton_http_without_the_binary_extension(servers: dict[str, RunningServer]) -> None:
    server = servers["text-predictor"]
    client = triton.InferenceServerClient(f"127.0.0.1:{server.http}")
    tensor = triton.InferInput("designation", [1], "BYTES")
    tensor.set_data_from_numpy(np.array(["Été"], np.object_), binary_data=False)

    reply = client.infer(
        server.name, [tensor], outputs=[triton.InferRequestedOutput("probabilities", binary_data=False)]
    )
    client.close()

    assert (1, 27) == reply.as_numpy("probabilities").shape


def test_triton_grpc(server: RunningServer, columns: Mapping[str, list[bytes]], expected: np.ndarray) -> None:
    script = Path(__file__).parents[2] / "support" / "triton_grpc.py"
    inputs = {name: [base64.b64encode(value).decode() for value in values] for name, values in columns.items()}

    command = [sys.executable, str(script), f"127.0.0.1:{server.grpc}", server.name]
    done = subprocess.run(command, input=json.dumps(inputs), capture_output=True, text=True, check=False)

    assert (0, "") == (done.returncode, done.stderr)
    result = json.loads(done.stdout)
    np.testing.assert_allclose(result["probabilities"], expected, atol=1e-5)
    assert ([True, True, True], "abc", ["probabilities"]) == (result["ready"], result["id"], result["outputs"])
    assert set(columns) == {one["name"] for one in result["metadata"]["inputs"]}
    assert "codes=10,40,50," in result["metadata"]["platform"]
