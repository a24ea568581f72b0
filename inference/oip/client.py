"""Client codec of the Open Inference Protocol (V2 over HTTP), with or without binary tensors.

    body, headers = encode_request({"designation": [b"Livre"], "image": [photo]})
    response = decode_response(reply_body, reply_headers.get(HEADER_LENGTH))

The pipeline image uses this module too: it imports nothing of `inference` outside `inference.oip`.
"""

import base64
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
import orjson
from numpy.typing import NDArray

from inference.oip.tensors import HEADER_LENGTH, NUMPY_TYPES, pack_bytes, unpack

__all__ = ["HEADER_LENGTH", "DecodedResponse", "InvalidResponse", "decode_error", "decode_response", "encode_request"]


class InvalidResponse(ValueError):
    """A body is not a V2 response."""


@dataclass(frozen=True, slots=True)
class DecodedResponse:
    """A decoded V2 response: arrays by output name, and the response parameters."""

    outputs: Mapping[str, NDArray[Any]]
    parameters: Mapping[str, Any]
    model_version: str


def encode_request(
    columns: Mapping[str, Sequence[str] | Sequence[bytes]], *, release: str = "", binary: bool = True
) -> tuple[bytes, dict[str, str]]:
    """Return body and headers of a request with one BYTES tensor `[n]` per column.

    Columns of `str` are JSON. Columns of `bytes` follow the JSON as binary tensors, and the response may have binary
    tensors as well; with `binary=False` they are base64 and the response is JSON.
    """
    tensors, tail = [], []
    for name, values in columns.items():
        tensor: dict[str, Any] = {"name": name, "shape": [len(values)], "datatype": "BYTES"}
        if values and isinstance(values[0], bytes):
            elements: Sequence[bytes] = values  # type: ignore[assignment]  # a column has elements of one type
            if binary:
                packed = pack_bytes(elements)
                tensor["parameters"] = {"binary_data_size": len(packed)}
                tail.append(packed)
            else:
                tensor["parameters"] = {"content_type": "base64"}
                tensor["data"] = [base64.b64encode(element).decode() for element in elements]
        else:
            tensor["data"] = values
        tensors.append(tensor)
    parameters: dict[str, Any] = {"binary_data_output": True} if binary else {}
    if release:
        parameters["release"] = release
    head = orjson.dumps({"inputs": tensors, "parameters": parameters})
    if not binary:
        return head, {"Content-Type": "application/json"}
    return b"".join([head, *tail]), {"Content-Type": "application/octet-stream", HEADER_LENGTH: str(len(head))}


def decode_response(body: bytes, header_length: str | None = None) -> DecodedResponse:
    """Decode a V2 response; `header_length` is the value of its header `HEADER_LENGTH`, if it has one.

    Raises:
        InvalidResponse: If the body is not a V2 response with FP32, INT64 and BYTES outputs.
    """
    size = int(header_length) if header_length and header_length.isdecimal() else len(body)
    try:
        document = orjson.loads(body[:size])
        outputs, tail = {}, memoryview(body)[size:]
        for output in document["outputs"]:
            values, tail = _tensor(output, tail)
            outputs[str(output["name"])] = values
        parameters = document.get("parameters") or {}
        return DecodedResponse(outputs, dict(parameters), str(document.get("model_version") or ""))
    except (ValueError, KeyError, TypeError, AttributeError) as error:
        raise InvalidResponse(f"not a V2 response: {type(error).__name__} {error!s:.100}") from error


def decode_error(body: bytes) -> Mapping[str, Any]:
    """Return the members of a V2 error document; none if the body is not a JSON object."""
    try:
        document = orjson.loads(body)
    except orjson.JSONDecodeError:
        return {}
    return document if isinstance(document, dict) else {}


def _tensor(output: Mapping[str, Any], tail: memoryview) -> tuple[NDArray[Any], memoryview]:
    """Return the array of one output, and the binary tensors after it."""
    size = (output.get("parameters") or {}).get("binary_data_size")
    datatype = output["datatype"]
    if size is not None:
        return unpack(tail[:size], datatype).reshape(output["shape"]), tail[size:]
    if datatype == "BYTES":
        if not all(isinstance(text, str) for text in output["data"]):
            raise ValueError("the data of a BYTES tensor are not texts")
        return np.array(output["data"], object).reshape(output["shape"]), tail
    return np.asarray(output["data"], NUMPY_TYPES[datatype]).reshape(output["shape"]), tail
