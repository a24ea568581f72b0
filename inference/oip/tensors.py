"""Binary layout of tensors in the Open Inference Protocol."""

import struct
from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np
from numpy.typing import NDArray

HEADER_LENGTH = "Inference-Header-Content-Length"
"""HTTP header with the size of the JSON in front of binary tensors."""

NUMPY_TYPES: Mapping[str, np.dtype[Any]] = {"FP32": np.dtype("<f4"), "INT64": np.dtype("<i8")}
DATATYPES: Mapping[str, str] = {"f": "FP32", "i": "INT64", "O": "BYTES"}
"""Datatype of an output by the kind of its array; an array of objects holds texts."""
ELEMENT_LENGTH = struct.Struct("<I")
"""The length in front of each element of a BYTES tensor."""


def pack(values: NDArray[Any]) -> bytes:
    """Return an output as a binary tensor."""
    datatype = DATATYPES[values.dtype.kind]
    if datatype in NUMPY_TYPES:
        return values.astype(NUMPY_TYPES[datatype], copy=False).tobytes()
    return pack_bytes([str(value).encode() for value in values.ravel()])


def unpack(packed: memoryview, datatype: str) -> NDArray[Any]:
    """Return the flat array of a binary tensor; raise `ValueError` if its size does not fit."""
    if datatype in NUMPY_TYPES:
        return np.frombuffer(packed, NUMPY_TYPES[datatype])
    texts, at = [], 0
    while at < len(packed):
        if at + 4 > len(packed) or at + 4 + (length := ELEMENT_LENGTH.unpack_from(packed, at)[0]) > len(packed):
            raise ValueError(f"a BYTES tensor of {len(packed)} bytes ends inside an element")
        texts.append(str(packed[at + 4 : at + 4 + length], "utf-8"))
        at += 4 + length
    return np.array(texts, object)


def pack_bytes(elements: Sequence[bytes]) -> bytes:
    """Return a BYTES tensor: each element preceded by its length."""
    return b"".join([part for one in elements for part in (ELEMENT_LENGTH.pack(len(one)), one)])
