"""The V2 client codec against the server's codec."""

from typing import Any

import numpy as np
import orjson
import pytest
from hypothesis import given
from hypothesis import strategies as st

from inference.oip.client import HEADER_LENGTH, InvalidResponse, decode_error, decode_response, encode_request
from inference.oip.rest_codec import decode_v2, encode_v2
from inference.oip.types import InputTensor, ModelRequest, ModelResponse, OutputTensor, Signature

SIGNATURE = Signature(
    (InputTensor("title"), InputTensor("photo", photo=True)), (OutputTensor("probabilities", "FP32"),)
)
RESPONSE = ModelResponse(
    {"probabilities": np.array([[0.25, 0.75]], np.float32), "code": np.array([10], np.int64)},
    "r-1",
    "v-1",
    {"degraded": False},
)
texts = st.text(st.characters(exclude_characters="\0", exclude_categories=["Cs"]), max_size=20)


@pytest.mark.parametrize("binary", [True, False])
@given(rows=st.lists(st.tuples(texts, st.binary(max_size=20)), min_size=1, max_size=5))
def test_a_server_decodes_what_the_client_encodes(binary: bool, rows: list[tuple[str, bytes]]) -> None:
    titles, photos = [row[0] for row in rows], [row[1] for row in rows]

    body, headers = encode_request({"title": titles, "photo": photos}, release="r-1", binary=binary)
    request = decode_v2(body, headers.get(HEADER_LENGTH), SIGNATURE)

    assert (titles, photos) == (request.texts("title"), request.photos("photo"))
    assert ("r-1", binary) == (request.release, request.binary_outputs)


@pytest.mark.parametrize("binary", [True, False])
@given(rows=st.lists(texts, min_size=1, max_size=5))
def test_a_text_may_be_sent_as_bytes(binary: bool, rows: list[str]) -> None:
    body, headers = encode_request({"title": [row.encode() for row in rows]}, binary=binary)

    assert rows == decode_v2(body, headers.get(HEADER_LENGTH), SIGNATURE).texts("title")


@pytest.mark.parametrize("binary", [True, False])
def test_the_client_decodes_what_a_server_encodes(binary: bool) -> None:
    body, size = encode_v2("m", ModelRequest(1, {}, binary_outputs=binary), RESPONSE)

    response = decode_response(body, None if size is None else str(size))

    assert RESPONSE.outputs.keys() == response.outputs.keys()
    for name, values in RESPONSE.outputs.items():
        np.testing.assert_array_equal(values, response.outputs[name])
        assert values.dtype == response.outputs[name].dtype
    assert ({"release": "r-1", "degraded": False}, "v-1") == (response.parameters, response.model_version)


@pytest.mark.parametrize("cut", [1, 8, 40])
def test_a_truncated_response_is_refused(cut: int) -> None:
    body, size = encode_v2("m", ModelRequest(1, {}, binary_outputs=True), RESPONSE)

    with pytest.raises(InvalidResponse):
        decode_response(body[:-cut], str(size))


OUTPUT = {"name": "probabilities", "datatype": "FP32", "shape": [1, 2], "data": [0.5, 0.5]}


@pytest.mark.parametrize(
    "document",
    [
        [],
        {},
        {"outputs": None},
        {"outputs": ["x"]},
        {"outputs": [OUTPUT | {"datatype": "BYTES"}]},
        {"outputs": [OUTPUT | {"shape": [3]}]},
        {"outputs": [OUTPUT | {"data": "x"}]},
        {"outputs": [OUTPUT | {"parameters": {"binary_data_size": "x"}}]},
        {"outputs": [OUTPUT], "parameters": [1]},
    ],
    ids=str,
)
def test_a_document_that_is_no_v2_response_is_refused(document: Any) -> None:
    with pytest.raises(InvalidResponse, match="not a V2 response"):
        decode_response(orjson.dumps(document))


@given(st.binary(max_size=40), st.none() | st.text(max_size=5))
def test_any_other_bytes_are_refused(body: bytes, header_length: str | None) -> None:
    with pytest.raises(InvalidResponse):
        decode_response(body, header_length)


@pytest.mark.parametrize(
    ("body", "expected"), [(b'{"error": "x", "row": 1}', {"error": "x", "row": 1}), (b"[1]", {}), (b"<html>", {})]
)
def test_an_error_document_is_decoded_or_empty(body: bytes, expected: dict[str, Any]) -> None:
    assert expected == decode_error(body)
