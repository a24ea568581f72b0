"""Fit the late fusion of hashed n-grams and frozen encoders."""

import os
from collections.abc import Sequence
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import numpy as np
import onnx

from components.shared import linear_head, progress
from components.shared.encoder_names import PackagedEncoder
from components.train_text import linear_training
from components.train_text.labelled_texts import Texts
from components.train_text.packaged_encoders.build import build_encoder
from components.train_text.packaged_encoders.log_weights import fit_log_weights
from components.train_text.packaged_encoders.scripts import scripts_of
from components.train_text.packaged_encoders.token_quantization import quantize
from product_classifier.probabilities import Floats, softmax
from product_classifier.taxonomy import Codes
from product_classifier.text.features import TextFeatures
from product_classifier.text.late_fused import FrozenEncoder, LateFused
from product_classifier.text.token_graph import TokenGraph

HEAD_C = 0.01
"""Inverse regularization strength of the linear heads, as in scikit-learn."""
_CHUNK = 64
"""Texts of a task of the pool."""


def fit_and_cross_predict(
    texts: Texts,
    stripped: Sequence[str],
    encoders: Sequence[PackagedEncoder],
    codes: Codes,
    features: TextFeatures,
    C: float,  # noqa: N803 - scikit-learn's name
    seed: int,
    folder: Path,
) -> tuple[LateFused, Floats]:
    """Fit all parts on all texts; return the model with the out-of-fold probabilities `[n, classes]`.

    Heads are fitted on the features of the quantized graphs, so that they make up for the quantization.

    Args:
        texts: Products with normalized texts.
        stripped: The texts of the same products without markup, which the encoders read.
        encoders: Encoders to add to the hashed n-grams.
        codes: Category codes.
        features: Settings of the hashed counts.
        C: Inverse regularization strength of the linear support vector machines.
        seed: Seed of their optimizer.
        folder: Existing folder for the files of the encoders.

    Raises:
        CatalogueError: If the texts, or those of all folds but one, have fewer than two categories.
        WeightsRefused: If a file of a package is not the expected one.
    """
    linear, predicted = linear_training.fit_and_cross_predict(
        texts.prepared, texts.labels, texts.folds, codes, features, C, seed
    )
    scripts = scripts_of(stripped)
    members, parts = [], [predicted]
    for encoder in encoders:
        member, out_of_fold = _fit_encoder(encoder, texts, stripped, scripts, codes, folder)
        members.append(member)
        parts.append(out_of_fold)
    logs: Floats = np.log(np.maximum(np.stack(parts), np.finfo(np.float32).tiny))
    weights = fit_log_weights(logs.astype(np.float64), texts.labels)
    return LateFused(linear, tuple(members), weights), softmax(np.tensordot(weights, logs, axes=1))


def _fit_encoder(
    encoder: PackagedEncoder,
    texts: Texts,
    stripped: Sequence[str],
    scripts: frozenset[str],
    codes: Codes,
    folder: Path,
) -> tuple[FrozenEncoder, Floats]:
    """Write graph and tokenizer; return the encoder with its head, and the out-of-fold probabilities."""
    graph, tokenizer = build_encoder(encoder, scripts)
    graph = quantize(graph)
    paths = folder / f"{encoder.name}.onnx", folder / f"{encoder.name}.tokenizer.json"
    onnx.save(graph, paths[0])
    tokenizer.save(str(paths[1]), pretty=False)
    width = graph.graph.output[0].type.tensor_type.shape.dim[1].dim_value
    opened = TokenGraph(*paths, encoder.max_tokens, "features", width)
    features = compute_features(opened, stripped)
    head, out_of_fold = linear_head.fit_and_cross_predict(
        features, texts.labels, texts.folds, len(codes), HEAD_C, progress.on_stderr()
    )
    onnx.save(linear_head.attach_logits(head, graph), paths[0])
    return FrozenEncoder(encoder.name, folder, encoder.max_tokens, len(codes)), out_of_fold.dense()


def compute_features(graph: TokenGraph, texts: Sequence[str]) -> Floats:
    """Return features `[n, features]` of texts, computed by one thread per core.

    The graph releases the interpreter lock. Each text is computed by one thread: the features do not depend on their
    number.
    """
    report = progress.on_stderr()
    rows: list[Floats] = []
    done = 0
    with ThreadPoolExecutor(os.cpu_count()) as threads:
        for part in threads.map(graph.run, [texts[at : at + _CHUNK] for at in range(0, len(texts), _CHUNK)]):
            rows.append(part)
            done += len(part)
            report("texts encoded", done, len(texts))
    return np.concatenate(rows)
