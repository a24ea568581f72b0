"""Rows, outputs and fields of V1 and V2 requests are counted before work is done for each of them."""

import time
from collections.abc import Callable

import numpy as np
import orjson
import pytest
from hypothesis import given
from hypothesis import strategies as st
from kserve.protocol.grpc import grpc_predict_v2_pb2 as pb

from inference.http.problems import InvalidTensor
from inference.oip import grpc_codec
from inference.oip.grpc_structure import message_error
from inference.oip.rest_codec import decode_v1, decode_v2, encode_v2
from inference.oip.types import InputTensor, ModelRequest, ModelResponse, OutputTensor, Signature
from product_classifier.errors import InvalidInput
from product_classifier.limits import GRPC_MESSAGE_BYTES

SIGNATURE = Signature(
    (InputTensor("title"), InputTensor("photo", photo=True)),
    (OutputTensor("probabilities", "FP32"), OutputTensor("code", "INT64")),
)
MANY = 1_000_000
TENSOR = {"name": "title", "shape": [1], "datatype": "BYTES", "data": ["a"]}


def binary(packed: bytes, rows: int) -> bytes:
    described = {"name": "title", "shape": [rows], "datatype": "BYTES"}
    return orjson.dumps({"inputs": [described | {"parameters": {"binary_data_size": len(packed)}}]})


def v2_json(**members: object) -> Callable[[], ModelRequest]:
    body = orjson.dumps({"inputs": [TENSOR]} | members)
    return lambda: decode_v2(body, None, SIGNATURE)


def v2_binary(packed: bytes, rows: int) -> Callable[[], ModelRequest]:
    head = binary(packed, rows)
    return lambda: decode_v2(head + packed, str(len(head)), SIGNATURE)


def v1_json(**members: object) -> Callable[[], ModelRequest]:
    body = orjson.dumps(members)
    return lambda: decode_v1(body, SIGNATURE)


def grpc_message(**members: object) -> Callable[[], ModelRequest]:
    tensor = {"name": "title", "datatype": "BYTES", "shape": [1], "contents": {"bytes_contents": [b"a"]}}
    message = pb.ModelInferRequest(**{"inputs": [tensor]} | members)
    return lambda: grpc_codec.decode(message, SIGNATURE)


def elements(count: int) -> list[dict[str, object]]:
    return [{"name": "title", "datatype": "BYTES", "shape": [count], "contents": {"bytes_contents": [b""] * count}}]


REFUSED: dict[str, tuple[Callable[[], Callable[[], ModelRequest]], str]] = {
    "JSON rows": (lambda: v2_json(inputs=[TENSOR | {"shape": [MANY], "data": [""] * MANY}]), "more than 4096 values"),
    "JSON rows of a small body": (
        lambda: v2_json(inputs=[TENSOR | {"shape": [65], "data": [""] * 65}]),
        "65 rows, not 1 to 64",
    ),
    "nested rows": (lambda: v2_json(inputs=[TENSOR | {"data": [["a"]] * 65}]), "65 rows, not 1 to 64"),
    "rows nested once": (lambda: v2_json(inputs=[TENSOR | {"data": [["a"] * 65]}]), "65 rows, not 1 to 64"),
    "JSON inputs": (lambda: v2_json(inputs=[TENSOR] * 100_000), "more than 4096 values"),
    "JSON shape": (lambda: v2_json(inputs=[TENSOR | {"shape": [1] * MANY}]), "more than 4096 values"),
    "JSON parameters": (lambda: v2_json(parameters={str(n): n for n in range(100_000)}), "more than 4096 values"),
    "deep JSON": (lambda: v2_json(parameters={"a": orjson.Fragment(b"[" * 9000 + b"]" * 9000)}), "nested more than 32"),
    "binary rows": (lambda: v2_binary(b"\0\0\0\0" * MANY, MANY), "has more than 64 rows"),
    "binary rows, 65": (lambda: v2_binary(b"\1\0\0\0a" * 65, 65), "has more than 64 rows"),
    "V1 rows": (lambda: v1_json(instances=[""] * MANY), "more than 4096 values"),
    "V1 rows of a small body": (lambda: v1_json(instances=[""] * 65), "65 rows, not 1 to 64"),
    "gRPC rows": (lambda: grpc_message(inputs=elements(MANY)), f"{MANY} rows, not 1 to 64"),
    "gRPC raw rows": (
        lambda: grpc_message(
            inputs=[{"name": "title", "datatype": "BYTES", "shape": [MANY]}], raw_input_contents=[b"\0\0\0\0" * MANY]
        ),
        "has more than 64 rows",
    ),
    "gRPC shape": (
        lambda: grpc_message(inputs=[{"name": "title", "datatype": "BYTES", "shape": [1] * MANY}]),
        f"shape has {MANY} dimensions",
    ),
    "gRPC outputs": (
        lambda: grpc_message(outputs=[{"name": "code"}] * MANY),
        f"{MANY} outputs are requested; this model returns 2",
    ),
    "gRPC id": (lambda: grpc_message(id="x" * MANY), "id is"),
    "JSON outputs": (lambda: v2_json(outputs=[{"name": "code"}] * 200_000), "more than 4096 values"),
    "JSON outputs of a small body": (lambda: v2_json(outputs=[{"name": "code"}] * 3), "3 outputs are requested"),
    "an output twice": (lambda: v2_json(outputs=[{"name": "code"}] * 2), "output 'code': is requested twice"),
    "a gRPC output twice": (lambda: grpc_message(outputs=[{"name": "code"}] * 2), "output 'code': is requested twice"),
}


@pytest.mark.parametrize("name", REFUSED)
def test_a_request_over_a_bound_is_refused_before_work_per_element(name: str) -> None:
    make, reason = REFUSED[name]
    decode = make()

    began = time.process_time()
    with pytest.raises(InvalidInput, match=reason):
        decode()

    assert 0.3 > time.process_time() - began


def test_every_output_once_is_returned() -> None:
    request = v2_json(outputs=[{"name": "code"}, {"name": "probabilities"}])()
    outputs = {"probabilities": np.zeros((1, 2), np.float32), "code": np.zeros(1, np.int64)}

    body, _ = encode_v2("m", request, ModelResponse(outputs, "r-1", "v-1"))

    assert ["code", "probabilities"] == [output["name"] for output in orjson.loads(body)["outputs"]]


def test_64_rows_are_accepted_in_every_protocol() -> None:
    texts = ["a"] * 64
    packed = b"\1\0\0\0a" * 64
    described = {"name": "title", "datatype": "BYTES", "shape": [64]}
    found = [
        v2_json(inputs=[TENSOR | {"shape": [64], "data": texts}])(),
        v2_json(inputs=[TENSOR | {"shape": [64], "data": [[text] for text in texts]}])(),
        v2_binary(packed, 64)(),
        v1_json(instances=[{"title": text, "photo": {"b64": ""}} for text in texts])(),
        grpc_message(inputs=[described | {"contents": {"bytes_contents": [b"a"] * 64}}])(),
        grpc_message(inputs=[described], raw_input_contents=[packed])(),
    ]

    assert [64] * 6 == [request.rows for request in found]


def field(number: int, content: bytes) -> bytes:
    """Return one length-delimited field of a protobuf message."""
    length, size = len(content), b""
    while length > 0x7F:
        size += bytes([length & 0x7F | 0x80])
        length >>= 7
    return bytes([number << 3 | 2]) + size + bytes([length]) + content


SPACE = GRPC_MESSAGE_BYTES - 100
MESSAGES: dict[str, Callable[[], bytes]] = {
    "elements": lambda: field(5, field(1, b"title") + field(5, b"\x42\x00" * (SPACE // 2))),
    "inputs": lambda: b"\x2a\x00" * (SPACE // 2),
    "outputs": lambda: b"\x32\x00" * (SPACE // 2),
    "raw tensors": lambda: b"\x3a\x00" * (SPACE // 2),
    "parameters": lambda: b"\x22\x00" * (SPACE // 2),
    "parameters of an input": lambda: field(5, b"\x22\x00" * (SPACE // 2)),
    "parameters of an output": lambda: field(6, b"\x12\x00" * (SPACE // 2)),
    "packed shape": lambda: field(5, field(3, b"\x01" * SPACE)),
    "unpacked shape": lambda: field(5, b"\x18\x01" * (SPACE // 2)),
    "packed numbers": lambda: field(5, field(5, field(2, b"\x01" * SPACE))),
    "unknown numbers": lambda: b"\x78\x01" * (SPACE // 2),
    "unknown groups": lambda: b"\x7b\x7c" * (SPACE // 2),
    "elements after a group": lambda: b"\x7b\x7c" + b"\x3a\x00" * (SPACE // 2),
}


@pytest.mark.parametrize("name", MESSAGES)
def test_a_grpc_message_with_many_fields_is_refused_before_protobuf_parses_it(name: str) -> None:
    data = MESSAGES[name]()

    began = time.process_time()
    error = message_error(data, 4096)

    assert error is not None
    assert 0.3 > time.process_time() - began


@given(st.lists(st.binary(max_size=5), max_size=10), st.lists(st.sampled_from(["code", ""]), max_size=4), st.booleans())
def test_a_message_within_the_bounds_is_accepted(values: list[bytes], outputs: list[str], raw: bool) -> None:
    tensor: dict[str, object] = {"name": "title", "datatype": "BYTES", "shape": [len(values)]}
    contents = {} if raw else {"contents": {"bytes_contents": values}}
    message = pb.ModelInferRequest(
        model_name="m",
        id="7",
        inputs=[tensor | contents],
        outputs=[{"name": name} for name in outputs],
        raw_input_contents=values if raw else [],
        parameters={"release": {"string_param": "r"}, "b": {"bool_param": True}},
    )
    fields = 2 + 1 + 3 + 1 + 1 + len(values) + 2 * len(outputs) + 2

    assert message_error(message.SerializeToString(), fields) is None
    assert message_error(message.SerializeToString(), 3) == "more than 3 fields"


@given(st.binary(max_size=80))
def test_any_bytes_end_the_check(data: bytes) -> None:
    assert message_error(data, 100) is None or message_error(data, 0) is not None


def test_invalid_tensor_names_the_input() -> None:
    with pytest.raises(InvalidTensor, match="input 'title': has 65 rows"):
        REFUSED["JSON rows of a small body"][0]()()
