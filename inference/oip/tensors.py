"""Binary layout of tensors in the Open Inference Protocol."""

import struct
from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np

HEADER_LENGTH = "Inference-Header-Content-Length"
"""HTTP header with the size of the JSON in front of binary tensors."""

NUMPY_TYPES: Mapping[str, np.dtype[Any]] = {"FP32": np.dtype("<f4"), "INT64": np.dtype("<i8")}
ELEMENT_LENGTH = struct.Struct("<I")
"""The length in front of each element of a BYTES tensor."""


def pack_bytes(elements: Sequence[bytes]) -> bytes:
    """Return a BYTES tensor: each element preceded by its length."""
    return b"".join([part for one in elements for part in (ELEMENT_LENGTH.pack(len(one)), one)])
