"""Build the graph and the tokenizer of a packaged encoder for the scripts of a catalogue."""

from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any

import onnx
from tokenizers import normalizers

from components.shared.encoder_names import E5_SMALL, USE_MULTILINGUAL, PackagedEncoder
from components.train_text.packaged_encoders.e5_file import read_e5
from components.train_text.packaged_encoders.e5_graph import build_e5
from components.train_text.packaged_encoders.unigram import build_tokenizer
from components.train_text.packaged_encoders.use_file import read_use
from components.train_text.packaged_encoders.use_graph import build_use

Built = tuple[onnx.ModelProto, Any]
"""A graph from tokens to `features`, and its tokenizer."""


def build_encoder(encoder: PackagedEncoder, scripts: frozenset[str]) -> Built:
    """Return the encoder with the part of its vocabulary that is written in `scripts`.

    Raises:
        WeightsRefused: If a file of its package is missing or not the expected one.
    """
    return _BUILDERS[encoder.name](scripts, *(file.find() for file in encoder.files))


def _e5(scripts: frozenset[str], file: Path) -> Built:
    weights = read_e5(file)
    pieces, kept = weights.pieces.cut(scripts)
    normalization = [normalizers.Nmt(), normalizers.NFKC()]
    return build_e5(weights, kept), build_tokenizer(pieces, normalization, prefix="query: ")


def _use(scripts: frozenset[str], arrays: Path, vocabulary: Path) -> Built:
    weights = read_use(arrays, vocabulary)
    pieces, kept = weights.pieces.cut(scripts)
    return build_use(weights, kept), build_tokenizer(pieces, [normalizers.Precompiled(weights.normalization)])


_BUILDERS: Mapping[str, Callable[..., Built]] = {E5_SMALL.name: _e5, USE_MULTILINGUAL.name: _use}
