"""Public clients, unchanged, against all three models."""

import base64
import json
import subprocess
import sys
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import grpc
import httpx
import numpy as np
import pytest
from kserve import InferenceGRPCClient, InferenceRESTClient, InferInput, InferRequest, RESTConfig
from kserve.protocol.grpc import grpc_predict_v2_pb2 as pb
from kserve.protocol.grpc.grpc_predict_v2_pb2_grpc import GRPCInferenceServiceStub
from tritonclient import http as triton
from tritonclient.utils import InferenceServerException

from inference.oip.client import encode_request
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
    assert ([True, True, True], "i" * 200, ["probabilities"]) == (result["ready"], result["id"], result["outputs"])
    assert set(columns) == {one["name"] for one in result["metadata"]["inputs"]}
    assert "codes=10,40,50," in result["metadata"]["platform"]


def mlserver_tensors(columns: Mapping[str, list[bytes]]) -> list[dict[str, Any]]:
    """Return tensors as StringCodec and Base64Codec of MLServer 1.7 encode them.

    MLServer itself cannot be installed beside the other packages: its versions that can are of pydantic 1.
    """
    return [
        {
            "name": name,
            "shape": [len(values), 1],
            "datatype": "BYTES",
            "parameters": {"content_type": "base64" if name == "image" else "str"},
            "data": [readable(name, value) for value in values],
        }
        for name, values in columns.items()
    ]


@pytest.mark.parametrize("content_type", [None, "np", "pd", "str"])
def test_mlserver_codecs_over_rest(
    server: RunningServer, columns: Mapping[str, list[bytes]], expected: np.ndarray, content_type: str | None
) -> None:
    outputs = [{"name": "probabilities", "parameters": {"content_type": "np"}}]
    body = {"id": "i" * 200, "inputs": mlserver_tensors(columns), "outputs": outputs}
    reply = httpx.post(server.infer, json=body | {"parameters": {"content_type": content_type} if content_type else {}})

    (output,) = reply.json()["outputs"]
    np.testing.assert_allclose(np.reshape(output["data"], output["shape"]), expected, atol=1e-5)
    assert "i" * 200 == reply.json()["id"]


def test_mlserver_codecs_over_grpc(
    server: RunningServer, columns: Mapping[str, list[bytes]], expected: np.ndarray
) -> None:
    message = pb.ModelInferRequest(model_name=server.name, id="i" * 200)
    for tensor in mlserver_tensors(columns):
        content_type = pb.InferParameter(string_param=tensor["parameters"]["content_type"])
        added = message.inputs.add(
            name=tensor["name"], shape=tensor["shape"], datatype="BYTES", parameters={"content_type": content_type}
        )
        added.contents.bytes_contents.extend(value.encode() for value in tensor["data"])

    with grpc.insecure_channel(f"127.0.0.1:{server.grpc}") as channel:
        reply = GRPCInferenceServiceStub(channel).ModelInfer(message, timeout=20)

    found = np.frombuffer(reply.raw_output_contents[0], np.float32).reshape(list(reply.outputs[0].shape))
    np.testing.assert_allclose(found, expected, atol=1e-5)
    assert "i" * 200 == reply.id


def test_triton_http_options_are_honored_or_refused_by_name(servers: dict[str, RunningServer]) -> None:
    server = servers["text-predictor"]
    client = triton.InferenceServerClient(f"127.0.0.1:{server.http}")
    tensor = triton.InferInput("designation", [1], "BYTES")
    tensor.set_data_from_numpy(np.array(["Livre"], np.object_))
    refused: dict[str, dict[str, Any]] = {
        "sequence_id": {"sequence_id": 7, "sequence_start": True},
        "priority": {"priority": 1},
        "classification": {"outputs": [triton.InferRequestedOutput("probabilities", class_count=3)]},
    }
    shared = triton.InferRequestedOutput("probabilities")
    shared.set_shared_memory("region", 108)
    refused["shared_memory_region"] = {"outputs": [shared]}

    reply = client.infer(server.name, [tensor], request_id="i" * 200, timeout=20_000_000, parameters={"shop": "fr"})
    for name, options in refused.items():
        with pytest.raises(InferenceServerException, match=f"parameter '{name}'"):
            client.infer(server.name, [tensor], **options)
    client.close()

    assert "i" * 200 == reply.get_response()["id"]


@pytest.mark.parametrize("name", sorted(MODULES))
def test_a_photo_sent_raw_is_refused_with_the_header_that_is_missing(
    servers: dict[str, RunningServer], name: str
) -> None:
    server, picture = servers[name], photo(1)
    body, headers = encode_request({"image": [picture]})
    del headers["Inference-Header-Content-Length"]

    v2 = [httpx.post(server.infer, content=content, headers=headers).json() for content in (picture, body)]
    v1 = httpx.post(server.predict, content=picture).json()

    assert ["Inference-Header-Content-Length" in reply["error"] for reply in v2] == [True, True]
    assert "the body is a JPEG" in v2[0]["error"]
    assert '{"instances": [{"image": {"b64": "..."}}]}' in v1["error"]
