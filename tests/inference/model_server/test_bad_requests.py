"""Invalid requests in every protocol get a precise error without internals."""

import asyncio
import base64
import socket
import struct
import time
from collections.abc import Callable

import grpc
import httpx
import orjson
import pytest
from kserve.protocol.grpc import grpc_predict_v2_pb2 as pb
from kserve.protocol.grpc.grpc_predict_v2_pb2_grpc import GRPCInferenceServiceStub

from tests.support.model_servers import MODULES, RunningServer
from tests.support.tiny_release import photo

LEAKS = ("Traceback", "Error(", "ValueError", "TypeError", "KeyError", ".py", "site-packages", "kserve.", "0x")
GOOD = {"name": "designation", "shape": [1], "datatype": "BYTES", "data": ["Livre"]}


@pytest.fixture
def text(servers: dict[str, RunningServer]) -> RunningServer:
    return servers["text-predictor"]


@pytest.fixture
def image(servers: dict[str, RunningServer]) -> RunningServer:
    return servers["image-predictor"]


def refused(reply: httpx.Response, *words: str, status: int = 400) -> None:
    error = reply.json()["error"]
    assert status == reply.status_code, error
    assert not [word for word in words if word not in error], error
    assert not [leak for leak in LEAKS if leak in reply.text], error
    assert len(error) < 300
    assert reply.json()["request_id"] == reply.headers["x-request-id"]


V2 = {
    "unknown tensor": (GOOD | {"name": "title"}, ["input 'title'", "designation, description"]),
    "no name": ({"shape": [1], "datatype": "BYTES", "data": ["a"]}, ["a tensor's name is None"]),
    "datatype": (GOOD | {"datatype": "FP32", "data": [1.5]}, ["'designation'", "'FP32'", "'BYTES'"]),
    "two columns": (GOOD | {"shape": [1, 2]}, ["'designation'", "[1, 2] is not [n] or [n, 1]"]),
    "three dimensions": (GOOD | {"shape": [1, 1, 1]}, ["'designation'", "[1, 1, 1] is not [n]"]),
    "no columns": (GOOD | {"shape": [1, 0]}, ["[1, 0] is not [n]"]),
    "true columns": (GOOD | {"shape": [1, True]}, ["is not [n]"]),
    "rows of two dimensions": (GOOD | {"shape": [2, 1]}, ["shape is [2, 1]", "1 elements"]),
    "negative shape": (GOOD | {"shape": [-1]}, ["[-1] is not [n]"]),
    "huge shape": (GOOD | {"shape": [10**30]}, ["[1e+30] is not [n]"]),
    "float shape": (GOOD | {"shape": [1.0]}, ["is not [n]"]),
    "true shape": (GOOD | {"shape": [True]}, ["is not [n]"]),
    "no shape": ({"name": "designation", "datatype": "BYTES", "data": ["a"]}, ["None is not [n]"]),
    "shape and data differ": (GOOD | {"shape": [3]}, ["shape is [3]", "1 elements"]),
    "no rows": (GOOD | {"shape": [0], "data": []}, ["0 rows, not 1 to 64"]),
    "too many rows": (GOOD | {"shape": [65], "data": ["a"] * 65}, ["65 rows, not 1 to 64"]),
    "a number": (GOOD | {"data": [7]}, ["input 'designation', row 0", "7 is not a string"]),
    "null": (GOOD | {"data": [None]}, ["row 0", "None is not a string"]),
    "data too deep": (GOOD | {"data": [[["a"]]]}, ["is not a string"]),
    "data is text": (GOOD | {"data": "a"}, ["data is 'a', not a list"]),
    "NUL": (GOOD | {"data": ["a\0b"]}, ["row 0", "NUL at character 1"]),
    "10 MB": (GOOD | {"data": ["x" * 10_000_000]}, ["row 0", "10000000 long"]),
    "bad base64": (GOOD | {"parameters": {"content_type": "base64"}}, ["row 0", "'Livre' is not base64"]),
    "parameters": (GOOD | {"parameters": [1]}, ["parameters of input 'designation' is [1]"]),
    "binary size without bytes": (GOOD | {"parameters": {"binary_data_size": 9}}, ["binary_data_size is 9, but 0"]),
    "binary size of text": (GOOD | {"parameters": {"binary_data_size": "9"}}, ["binary_data_size is '9'"]),
    "not a tensor": (7, ["a tensor in 'inputs' is 7"]),
}


@pytest.mark.parametrize("case", V2)
def test_an_invalid_v2_tensor_is_refused_with_its_name_and_row(text: RunningServer, case: str) -> None:
    tensor, words = V2[case]

    refused(httpx.post(text.infer, json={"inputs": [tensor]}, timeout=30), *words)


BODIES = {
    "not JSON": (b"{", ["the body is not JSON"]),
    "empty": (b"", ["the body is not JSON"]),
    "a list": (b"[]", ["the body is [], not a JSON object"]),
    "NaN": (b'{"inputs": [NaN]}', ["not JSON"]),
    "lone surrogate": (b'{"inputs": [{"name": "\\ud800"}]}', ["not JSON"]),
    "not UTF-8": (b'{"inputs": "\xff"}', ["not JSON"]),
    "deep": (b"[" * 100_000, ["not JSON"]),
    "no inputs": (b"{}", ["'inputs' is None"]),
    "empty inputs": (b'{"inputs": []}', ["'designation'", "is missing"]),
    "inputs is an object": (b'{"inputs": {}}', ["'inputs' is an object"]),
}


@pytest.mark.parametrize("case", BODIES)
def test_an_invalid_v2_body_is_refused(text: RunningServer, case: str) -> None:
    body, words = BODIES[case]

    refused(httpx.post(text.infer, content=body), *words)


def test_other_invalid_members_are_refused(text: RunningServer) -> None:
    def send(**more: object) -> httpx.Response:
        return httpx.post(text.infer, json={"inputs": [GOOD]} | more)

    refused(send(inputs=[GOOD, GOOD]), "'designation'", "given twice")
    refused(send(inputs=[GOOD | {"name": "description"}]), "'designation'", "is missing")
    refused(
        send(inputs=[GOOD, {"name": "description", "shape": [2], "datatype": "BYTES", "data": ["a", "b"]}]),
        "'description'",
        "has 2 rows, but input 'designation' has 1",
    )
    refused(send(outputs=[{"name": "logits"}]), "output 'logits'", "it returns probabilities")
    refused(send(outputs=[{"name": "probabilities"}] * 2), "output 'probabilities'", "is requested twice")
    refused(send(outputs=[{"name": "probabilities"}] * 3), "3 outputs are requested; this model returns 2, each once")
    refused(send(outputs=[{"name": "probabilities"}] * 200_000), "more than 4096 values")
    refused(send(outputs="probabilities"), "'outputs' is 'probabilities'")
    refused(send(id=7), "id is 7")
    refused(send(parameters={"release": ["r"]}), "parameter 'release' is a list of 1")
    refused(send(parameters={"release": "r-none"}), "'r-none' is not loaded", status=404)


V1 = {
    "no instances": ({}, ["'instances' is None"]),
    "instances is text": ({"instances": "a"}, ["'instances' is 'a'"]),
    "empty": ({"instances": []}, ["0 rows"]),
    "too many": ({"instances": ["a"] * 65}, ["65 rows"]),
    "a number": ({"instances": ["a", 7]}, ["instance 1 is 7"]),
    "unknown field": ({"instances": [{"designation": "a", "titel": "b"}]}, ["'titel'", "row 0"]),
    "field is a number": ({"instances": [{"designation": 7}]}, ["'designation'", "row 0", "7 is not text"]),
    "missing": ({"instances": ["a", {"description": "b"}]}, ["'designation'", "row 1", "is missing"]),
}


@pytest.mark.parametrize("case", V1)
def test_an_invalid_v1_body_is_refused(text: RunningServer, case: str) -> None:
    body, words = V1[case]

    refused(httpx.post(text.predict, json=body), *words)


@pytest.mark.parametrize("instance", ["!!!", {"image": {"b64": "!!!"}}, {"b64": "YWJjY"}], ids=str)
def test_an_invalid_base64_value_is_refused(image: RunningServer, instance: object) -> None:
    refused(httpx.post(image.predict, json={"instances": [instance]}), "'image'", "row 0", "is not base64")


def packed(*elements: bytes, cut: int = 0) -> bytes:
    whole = b"".join(struct.pack("<I", len(one)) + one for one in elements)
    return whole[: len(whole) - cut]


@pytest.mark.parametrize(
    ("tail", "change", "words"),
    [
        (packed(b"abc", cut=1), {}, ["announces 3 bytes, 2 are left"]),
        (b"\x01\0", {}, ["ends inside a length"]),
        (b"\xff\xff\xff\xff", {}, ["announces 4294967295 bytes"]),
        (packed(b"\xff\xfe"), {}, ["row 0", "is not UTF-8 at byte 0"]),
        (packed(b"a\0"), {}, ["NUL at character 1"]),
        (packed(b"a"), {"binary_data_size": 99}, ["binary_data_size is 99, but 5 bytes are there"]),
        (packed(b"a"), {"binary_data_size": -1}, ["binary_data_size is -1"]),
        (packed(b"a"), {"binary_data_size": 0}, ["shape is [1], but the data has 0"]),
        (packed(b"a") + b"more", {"binary_data_size": 5}, ["4 bytes follow the last tensor"]),
    ],
)
def test_invalid_binary_tensors_are_refused(
    text: RunningServer, tail: bytes, change: dict[str, object], words: list[str]
) -> None:
    tensor = {"name": "designation", "shape": [1], "datatype": "BYTES"}
    head = orjson.dumps({"inputs": [tensor | {"parameters": {"binary_data_size": len(tail)} | change}]})

    headers = {"Inference-Header-Content-Length": str(len(head))}
    refused(httpx.post(text.infer, content=head + tail, headers=headers), *words)


@pytest.mark.parametrize("length", ["-1", "x", "", "9" * 5000, "٣", "1e3", "100"])
def test_an_invalid_header_length_is_refused(text: RunningServer, length: str) -> None:
    headers = {"Inference-Header-Content-Length": length.encode()}

    refused(httpx.post(text.infer, content=b'{"inputs": []}', headers=headers), "Inference-Header-Content-Length is")


@pytest.mark.parametrize("name", sorted(MODULES))
def test_unknown_names_are_not_found(servers: dict[str, RunningServer], name: str) -> None:
    url = servers[name].url

    for path in ("/v2/models/other", "/v2/models/other/ready", "/v1/models/other", "/v9", "/v2/models/a/b/c", "/docs"):
        refused(httpx.get(url + path), status=404)
    refused(httpx.post(f"{url}/v2/models/other/infer", json={"inputs": [GOOD]}), "no model 'other' here", status=404)
    refused(httpx.post(f"{url}/v1/models/other:predict", json={"instances": ["a"]}), status=404)
    refused(httpx.post(f"{url}/v1/models/other:explain", json={"instances": ["a"]}), status=404)


def test_a_compressed_or_too_large_body_is_refused(text: RunningServer) -> None:
    refused(httpx.post(text.infer, content=b"x", headers={"Content-Encoding": "gzip"}), "'gzip'", status=415)

    endless = httpx.post(text.infer, content=(b" " * 2**20 for _ in range(20)), timeout=30)
    refused(endless, "more than 12582912", status=413)


def test_a_body_that_its_client_does_not_complete_has_the_outcome_unsupported(text: RunningServer) -> None:
    with socket.create_connection(("127.0.0.1", text.http), timeout=10) as connection:
        path = text.infer.removeprefix(text.url)
        connection.sendall(f"POST {path} HTTP/1.1\r\nHost: x\r\nContent-Length: 9\r\n\r\n{{".encode())

    deadline = time.monotonic() + 20
    while '"reason":"BodyIncomplete"' not in text.logged():
        assert time.monotonic() < deadline
        time.sleep(0.02)
    (line,) = [line for line in text.logged().splitlines() if '"reason":"BodyIncomplete"' in line]
    assert "unsupported" == orjson.loads(line)["outcome"]


def test_invalid_requests_leave_a_server_that_responds(text: RunningServer, image: RunningServer) -> None:
    assert httpx.post(text.infer, json={"inputs": [GOOD]}).status_code == 200
    assert '"level":"error"' not in text.logged() + image.logged()


def call(server: RunningServer, request: pb.ModelInferRequest) -> tuple[str, str]:
    async def infer() -> tuple[str, str]:
        async with grpc.aio.insecure_channel(f"127.0.0.1:{server.grpc}") as channel:
            try:
                await GRPCInferenceServiceStub(channel).ModelInfer(request)
            except grpc.aio.AioRpcError as error:
                return error.code().name, error.details() or ""
            return "OK", ""

    return asyncio.run(infer())


def message(name: str = "designation", *values: bytes, **more: object) -> pb.ModelInferRequest:
    tensor = {"name": name, "datatype": "BYTES", "shape": [len(values)], "contents": {"bytes_contents": values}} | more
    return pb.ModelInferRequest(model_name="text-predictor", inputs=[tensor])


def raw(*tails: bytes) -> pb.ModelInferRequest:
    tensor = {"name": "designation", "datatype": "BYTES", "shape": [1]}
    return pb.ModelInferRequest(model_name="text-predictor", inputs=[tensor], raw_input_contents=tails)


GRPC: dict[str, tuple[Callable[[], pb.ModelInferRequest], str, str]] = {
    "good": (lambda: message("designation", b"Livre"), "OK", ""),
    "empty elements": (
        lambda: message("designation", *[b""] * 100_000),
        "INVALID_ARGUMENT",
        "the message has more than 4096 fields",
    ),
    "outputs": (
        lambda: pb.ModelInferRequest(model_name="text-predictor", outputs=[{"name": "code"}] * 20_000),
        "INVALID_ARGUMENT",
        "the message has more than 4096 fields",
    ),
    "an output twice": (
        lambda: pb.ModelInferRequest(
            model_name="text-predictor",
            inputs=[message("designation", b"a").inputs[0]],
            outputs=[{"name": "probabilities"}] * 2,
        ),
        "INVALID_ARGUMENT",
        "is requested twice",
    ),
    "no inputs": (
        lambda: pb.ModelInferRequest(model_name="text-predictor"),
        "INVALID_ARGUMENT",
        "'designation': is missing",
    ),
    "unknown tensor": (lambda: message("titel", b"a"), "INVALID_ARGUMENT", "input 'titel'"),
    "datatype": (lambda: message("designation", b"a", datatype="FP32"), "INVALID_ARGUMENT", "'FP32'"),
    "shape": (lambda: message("designation", b"a", shape=[1, 2]), "INVALID_ARGUMENT", "[1, 2] is not [n]"),
    "shape and data": (lambda: message("designation", b"a", shape=[2]), "INVALID_ARGUMENT", "shape is [2]"),
    "too many rows": (lambda: message("designation", *[b"a"] * 65), "INVALID_ARGUMENT", "65 rows"),
    "not UTF-8": (lambda: message("designation", b"a", b"\xff"), "INVALID_ARGUMENT", "row 1: is not UTF-8"),
    "10 MB": (lambda: message("designation", b"x" * 10_000_000), "INVALID_ARGUMENT", "row 0: is 10000000 long"),
    "too large": (lambda: message("designation", b"x" * 17_000_000), "RESOURCE_EXHAUSTED", ""),
    "unknown model": (lambda: pb.ModelInferRequest(model_name="other"), "NOT_FOUND", "no model 'other'"),
    "version": (
        lambda: pb.ModelInferRequest(
            model_name="text-predictor", model_version="7", inputs=[message("designation", b"a").inputs[0]]
        ),
        "NOT_FOUND",
        "version '7' is not loaded",
    ),
    "one raw too many": (lambda: raw(b"", b""), "INVALID_ARGUMENT", "raw_input_contents has 2 tensors"),
    "raw cut short": (lambda: raw(b"\x09\0\0\0a"), "INVALID_ARGUMENT", "announces 9 bytes"),
}


@pytest.mark.parametrize("case", GRPC)
def test_an_invalid_grpc_call_ends_with_its_status(text: RunningServer, case: str) -> None:
    make, status, words = GRPC[case]

    code, details = call(text, make())

    assert status == code, details
    assert words in details
    assert not [leak for leak in LEAKS if leak in details]


def test_an_invalid_photo_is_refused_over_grpc(image: RunningServer) -> None:
    tensor = {"name": "image", "datatype": "BYTES", "shape": [2], "contents": {"bytes_contents": [photo(), b"<svg>"]}}

    code, details = call(image, pb.ModelInferRequest(model_name="image-predictor", inputs=[tensor]))

    assert ("INVALID_ARGUMENT", True) == (code, details.startswith("input 'image', row 1: "))


def test_payloads_are_not_logged(text: RunningServer, image: RunningServer) -> None:
    secret = "un-titre-confidentiel"
    httpx.post(text.infer, json={"inputs": [GOOD | {"name": secret}]})
    httpx.post(text.infer, content=secret.encode())
    httpx.post(image.predict, json={"instances": [secret]})
    call(text, message(secret, b"a"))

    assert secret not in text.logged() + image.logged()
    assert base64.b64encode(secret.encode()).decode() not in text.logged()
