"""Validate the structure of an ONNX file without loading it.

Refused are external data, operators outside the standard domain, model-local functions, sparse or non-finite weights,
and subgraphs nested deeper than `limits.ONNX_GRAPH_DEPTH`. Serving images hold ONNX Runtime but not the `onnx`
package, so the module parses the protobuf wire format: https://protobuf.dev/programming-guides/encoding/
"""

from collections.abc import Iterator
from pathlib import Path

import numpy as np

from product_classifier.errors import BundleRefused
from product_classifier.limits import ONNX_GRAPH_DEPTH

ALLOWED_DOMAINS = {b"", b"ai.onnx"}

# Field numbers of onnx.proto; https://github.com/onnx/onnx/blob/main/onnx/onnx.proto
_MODEL_GRAPH, _MODEL_OPSET, _MODEL_FUNCTIONS = 7, 8, 25
_GRAPH_NODE, _GRAPH_INITIALIZER, _GRAPH_SPARSE = 1, 5, 15
_NODE_OP, _NODE_ATTRIBUTE, _NODE_DOMAIN = 4, 5, 7
_ATTRIBUTE_TENSOR, _ATTRIBUTE_GRAPH, _ATTRIBUTE_TENSORS, _ATTRIBUTE_GRAPHS = 5, 6, 10, 11
_TENSOR_TYPE, _TENSOR_FLOATS, _TENSOR_RAW, _TENSOR_EXTERNAL, _TENSOR_LOCATION = 2, 4, 9, 13, 14
_FLOATS = {1: "<f4", 10: "<f2", 11: "<f8"}

Value = int | memoryview


def check_onnx(path: Path) -> None:
    """Check that a file is a self-contained ONNX graph of standard operators with finite weights.

    Raises:
        BundleRefused: If it is not.
    """
    try:
        _check_model(memoryview(path.read_bytes()))
    except FileNotFoundError as error:
        raise BundleRefused(f"{path.name}: is missing") from error
    except _Refused as error:
        raise BundleRefused(f"{path.name}: {error}") from error


class _Refused(ValueError):
    """The reason of a refusal, without the file name."""


def _check_model(data: memoryview) -> None:
    graphs = 0
    for field, value in _fields(data):
        if field == _MODEL_OPSET:
            for name, domain in _fields(_bytes(value)):
                if name == 1:
                    _check_domain(_bytes(domain), "the model")
        elif field == _MODEL_FUNCTIONS:
            raise _Refused("defines model-local functions")
        elif field == _MODEL_GRAPH:
            graphs += 1
            _check_graph(_bytes(value), 0)
    if graphs != 1:
        raise _Refused("is not an ONNX model")


def _check_graph(data: memoryview, depth: int) -> None:
    if depth > ONNX_GRAPH_DEPTH:
        raise _Refused(f"nests graphs deeper than {ONNX_GRAPH_DEPTH}")
    for field, value in _fields(data):
        if field == _GRAPH_NODE:
            _check_node(_bytes(value), depth)
        elif field == _GRAPH_INITIALIZER:
            _check_tensor(_bytes(value))
        elif field == _GRAPH_SPARSE:
            raise _Refused("has sparse weights, which are not supported")


def _check_node(data: memoryview, depth: int) -> None:
    fields = list(_fields(data))
    operator = next((bytes(_bytes(value)) for field, value in fields if field == _NODE_OP), b"?")
    for field, value in fields:
        if field == _NODE_DOMAIN:
            _check_domain(_bytes(value), f"operator {operator.decode(errors='replace')[:40]!r}")
        elif field == _NODE_ATTRIBUTE:
            for name, part in _fields(_bytes(value)):
                if name in (_ATTRIBUTE_TENSOR, _ATTRIBUTE_TENSORS):
                    _check_tensor(_bytes(part))
                elif name in (_ATTRIBUTE_GRAPH, _ATTRIBUTE_GRAPHS):
                    _check_graph(_bytes(part), depth + 1)


def _check_domain(domain: memoryview, location: str) -> None:
    if bytes(domain) not in ALLOWED_DOMAINS:
        raise _Refused(f"{location} needs the operator domain {bytes(domain).decode(errors='replace')[:60]!r}")


def _check_tensor(data: memoryview) -> None:
    kind, parts = 0, []
    for field, value in _fields(data):
        if field == _TENSOR_EXTERNAL or (field == _TENSOR_LOCATION and value != 0):
            raise _Refused("stores weights in another file (external data)")
        if field == _TENSOR_TYPE and isinstance(value, int):
            kind = value
        elif field in (_TENSOR_RAW, _TENSOR_FLOATS) and not isinstance(value, int):
            parts.append(value)
    if dtype := _FLOATS.get(kind):
        for part in parts:
            if len(part) % np.dtype(dtype).itemsize or not np.isfinite(np.frombuffer(part, dtype)).all():
                raise _Refused("has weights that are not finite numbers")


def _bytes(value: Value) -> memoryview:
    if isinstance(value, int):
        raise _Refused("is not an ONNX model (a varint where a message is expected)")
    return value


def _fields(data: memoryview) -> Iterator[tuple[int, Value]]:
    """Yield field number and value of each field of one protobuf message."""
    at, end = 0, len(data)
    while at < end:
        key, at = _varint(data, at)
        wire = key & 7
        if wire == 0:
            number, at = _varint(data, at)
            yield key >> 3, number
            continue
        if wire == 2:
            length, at = _varint(data, at)
        elif wire in (1, 5):
            length = 8 if wire == 1 else 4
        else:
            raise _Refused("is not an ONNX model (unknown wire type)")
        if at + length > end:
            raise _Refused("is truncated")
        yield key >> 3, data[at : at + length]
        at += length


def _varint(data: memoryview, at: int) -> tuple[int, int]:
    value = 0
    for shift in range(0, 70, 7):
        if at >= len(data):
            raise _Refused("is truncated")
        byte = data[at]
        value |= (byte & 127) << shift
        at += 1
        if byte < 128:
            return value, at
    raise _Refused("is not an ONNX model (a varint of more than 10 bytes)")
