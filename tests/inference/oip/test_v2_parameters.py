"""Parameters, ids and shapes of a request mean the same in V2 JSON, binary tensors and gRPC."""

import base64
import json
from collections.abc import Callable
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st
from kserve.protocol.grpc import grpc_predict_v2_pb2 as pb

from inference.oip import grpc_codec
from inference.oip.rest_codec import decode_v2
from inference.oip.tensors import pack_bytes
from inference.oip.types import ID_CHARACTERS, InputTensor, ModelRequest, OutputTensor, Signature
from product_classifier.errors import InvalidInput

SIGNATURE = Signature(
    (InputTensor("designation"), InputTensor("image", photo=True)), (OutputTensor("probabilities", "FP32"),)
)
PHOTO = b"\xff\xd8 any bytes"
Decode = Callable[..., ModelRequest]


def from_json(
    values: list[bytes],
    *,
    name: str = "designation",
    shape: list[int] | None = None,
    request: dict[str, Any] | None = None,
    tensor: dict[str, Any] | None = None,
    output: dict[str, Any] | None = None,
    request_id: str | None = None,
    binary: bool = False,
) -> ModelRequest:
    encoded = pack_bytes(values)
    parameters = (tensor or {}) | ({"binary_data_size": len(encoded)} if binary else {})
    document: dict[str, Any] = {"name": name, "shape": shape or [len(values)], "datatype": "BYTES"}
    document |= {"parameters": parameters}
    if not binary:
        document["data"] = [value.decode("latin-1") for value in values]
    outputs = None if output is None else [{"name": "probabilities", "parameters": output}]
    body = {"inputs": [document], "parameters": request, "outputs": outputs, "id": request_id}
    head = json.dumps(body).encode()
    return decode_v2(head + (encoded if binary else b""), str(len(head)), SIGNATURE)


def from_binary(values: list[bytes], **more: Any) -> ModelRequest:
    return from_json(values, binary=True, **more)


def from_grpc(
    values: list[bytes],
    *,
    name: str = "designation",
    shape: list[int] | None = None,
    request: dict[str, Any] | None = None,
    tensor: dict[str, Any] | None = None,
    output: dict[str, Any] | None = None,
    request_id: str | None = None,
) -> ModelRequest:
    contents = {"bytes_contents": values}
    given = {"name": name, "datatype": "BYTES", "shape": shape or [len(values)], "contents": contents}
    inputs = [pb.ModelInferRequest.InferInputTensor(**given, parameters=choices(tensor))]
    outputs = [] if output is None else [{"name": "probabilities", "parameters": choices(output)}]
    message = pb.ModelInferRequest(inputs=inputs, outputs=outputs, parameters=choices(request), id=request_id or "")
    return grpc_codec.decode(pb.ModelInferRequest.FromString(message.SerializeToString()), SIGNATURE)


def choices(parameters: dict[str, Any] | None) -> dict[str, pb.InferParameter]:
    kinds = {bool: "bool_param", int: "int64_param", str: "string_param"}
    return {name: pb.InferParameter(**{kinds[type(value)]: value}) for name, value in (parameters or {}).items()}


@pytest.fixture(params=[from_json, from_binary, from_grpc], ids=["json", "binary", "grpc"])
def decode(request: pytest.FixtureRequest) -> Decode:
    return request.param  # type: ignore[no-any-return]


REFUSED = {
    "shared_memory_region": "region",
    "shared_memory_offset": 0,
    "shared_memory_byte_size": 4096,
    "classification": 3,
    "sequence_id": 7,
    "sequence_start": True,
    "sequence_end": True,
    "priority": 1,
    "triton_enable_empty_final_response": True,
}
NEUTRAL = {"classification": 0, "sequence_id": 0, "sequence_start": False, "sequence_end": False, "priority": 0}
HONORED: dict[str, dict[str, Any]] = {
    "request": {"binary_data_output": True, "content_type": "pd", "release": "r-1", "timeout": 2_000_000},
    "tensor": {"content_type": "str"},
    "output": {"binary_data": True, "content_type": "np"},
}
INVALID: dict[str, dict[str, Any]] = {
    "request": {"binary_data_output": "yes", "content_type": "hg_jpeg", "release": 7, "timeout": -1},
    "tensor": {"content_type": "hg_jpeg"},
    "output": {"binary_data": "yes", "content_type": "str"},
}
LEVELS = sorted(HONORED)


@pytest.mark.parametrize("level", LEVELS)
@pytest.mark.parametrize("name", sorted(REFUSED))
def test_a_parameter_that_is_not_supported_is_refused_with_its_name(decode: Decode, level: str, name: str) -> None:
    with pytest.raises(InvalidInput, match=f"parameter '{name}'"):
        decode([b"a"], **{level: {name: REFUSED[name]}})


@pytest.mark.parametrize("level", LEVELS)
@pytest.mark.parametrize("name", sorted(NEUTRAL))
def test_its_neutral_value_is_accepted(decode: Decode, level: str, name: str) -> None:
    assert 1 == decode([b"a"], **{level: {name: NEUTRAL[name]}}).rows


@pytest.mark.parametrize(("level", "name"), [(level, name) for level in LEVELS for name in HONORED[level]])
def test_an_honored_parameter_is_accepted_where_it_belongs(decode: Decode, level: str, name: str) -> None:
    assert 1 == decode([b"a"], **{level: {name: HONORED[level][name]}}).rows
    with pytest.raises(InvalidInput, match=f"parameter '{name}'"):
        decode([b"a"], **{level: {name: INVALID[level][name]}})
    for other in LEVELS:
        if name not in HONORED[other]:
            with pytest.raises(
                InvalidInput, match=f"parameter '{name}'.*: is one of an? |parameter '{name}'.*the request"
            ):
                decode([b"a"], **{other: {name: HONORED[level][name]}})


@pytest.mark.parametrize("level", LEVELS)
def test_a_parameter_of_no_known_extension_is_ignored(decode: Decode, level: str) -> None:
    assert 1 == decode([b"a"], **{level: {"shop": "fr", "triton": 1}}).rows


@pytest.mark.parametrize(("microseconds", "seconds"), [(0, 0.0), (1, 1e-6), (2_500_000, 2.5), (2**62, 3600.0)])
def test_the_timeout_is_in_microseconds(decode: Decode, microseconds: int, seconds: float) -> None:
    assert seconds == pytest.approx(decode([b"a"], request={"timeout": microseconds}).timeout_s)


@pytest.mark.parametrize("level", ["request", "output"])
def test_outputs_are_binary_or_json_as_requested(level: str) -> None:
    name = {"request": "binary_data_output", "output": "binary_data"}[level]
    more = {"output": {}} if level == "request" else {}

    for decode in (from_json, from_binary):
        for wanted in (True, False):
            (chosen,) = decode([b"a"], **{**more, level: {name: wanted}}).outputs  # type: ignore[operator]
            assert wanted == chosen.binary
    with pytest.raises(InvalidInput, match=f"parameter '{name}'"):
        from_grpc([b"a"], **{level: {name: False}})


def test_a_type_that_only_triton_has_is_refused_over_grpc() -> None:
    priority = pb.InferParameter.FromString(b"\x28\x05")  # uint64_param, field 5 of Triton's message
    message = pb.ModelInferRequest(parameters={"priority": priority})
    message.inputs.add(name="designation", datatype="BYTES", shape=[1]).contents.bytes_contents.append(b"a")

    with pytest.raises(InvalidInput, match="parameter 'priority'"):
        grpc_codec.decode(message, SIGNATURE)


@pytest.mark.parametrize("content_type", [None, "base64", "np", "pd", "str"])
def test_the_content_type_says_how_elements_are_encoded(decode: Decode, content_type: str | None) -> None:
    tensor = {"content_type": content_type} if content_type else {}
    text, photo = ["Été".encode()], [PHOTO]
    if content_type == "base64":
        text, photo = ([base64.b64encode(one) for one in values] for values in (text, photo))
    elif decode is from_json:
        text, photo = [b"Et\xe9"], [base64.b64encode(PHOTO)]

    expected = ["Eté"] if decode is from_json and content_type != "base64" else ["Été"]
    assert expected == decode(text, tensor=tensor).texts("designation")
    if content_type == "str" and decode is not from_json:
        with pytest.raises(InvalidInput, match="parameter 'content_type'"):
            decode(photo, name="image", tensor=tensor)
    else:
        assert [PHOTO] == decode(photo, name="image", tensor=tensor).photos("image")


@given(st.integers(1, 64))
def test_n_by_1_is_n(rows: int) -> None:
    values = [b"%d" % row for row in range(rows)]
    for decode in (from_json, from_binary, from_grpc):
        assert decode(values) == decode(values, shape=[rows, 1])


@pytest.mark.parametrize("shape", [[1, 2], [2, 1], [1, 1, 1], [1, 0], [2]], ids=str)
def test_other_shapes_are_refused(decode: Decode, shape: list[int]) -> None:
    with pytest.raises(InvalidInput, match="input 'designation': shape"):
        decode([b"a"], shape=shape)


@given(st.text(max_size=300) | st.sampled_from(["x" * 200, "é" * ID_CHARACTERS, "\0", "\n", " ", "😀" * 500]))
def test_any_id_is_the_same_in_each_protocol(sent: str) -> None:
    assert {sent} == {decode([b"a"], request_id=sent).id for decode in (from_json, from_binary, from_grpc)}


def test_a_longer_id_is_refused_with_the_limit(decode: Decode) -> None:
    with pytest.raises(InvalidInput, match=f"id is .* not a text of at most {ID_CHARACTERS} characters"):
        decode([b"a"], request_id="x" * (ID_CHARACTERS + 1))
