"""P10: training the text model on 85,000 products, beside scikit-learn's exact TF-IDF on the same rows."""

import time
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray
from sklearn.feature_extraction.text import TfidfVectorizer
from sklearn.pipeline import FeatureUnion, make_pipeline
from sklearn.svm import LinearSVC

from benchmarks import materials
from benchmarks.machine import ALL, pinned
from benchmarks.outcome import Check, Outcome
from components.train_text.linear import fit
from product_classifier.categories import CODES, index_of
from product_classifier.metrics import weighted_f1
from product_classifier.text import TextFeatures, normalise

LEARNT = 85_000
HELD_OUT = 5_000
SHARE = 0.6
Predict = Callable[[list[str]], NDArray[Any]]


@dataclass(frozen=True)
class Fitted:
    """A model, and what it took."""

    predict: Predict
    cpu_s: float
    wall_s: float


def measure(_folder: Path) -> Outcome:
    """Fit each once on all cores; judge both on products neither has seen."""
    made = materials.products(LEARNT + HELD_OUT)
    texts = [normalise(one.title, one.description) or "x" for one in made]
    labels = np.array([index_of(one.label) for one in made], np.int64)
    learnt, held_out = (texts[:LEARNT], labels[:LEARNT]), (texts[LEARNT:], labels[LEARNT:])
    with pinned(ALL):
        found = {"ours": _timed(_ours, *learnt), "scikit-learn": _timed(_sklearn, *learnt)}
        f1 = {name: _f1(one.predict, *held_out) for name, one in found.items()}
    ours, peer = found["ours"], found["scikit-learn"]
    return Outcome(
        ours=f"{ours.cpu_s:.0f} s CPU ({ours.wall_s:.0f} s), F1 {f1['ours']:.4f}",
        peer=f"scikit-learn: {peer.cpu_s:.0f} s CPU ({peer.wall_s:.0f} s), F1 {f1['scikit-learn']:.4f}",
        ratio=peer.cpu_s / ours.cpu_s,
        checks=[
            Check("share of the peer's CPU time", ours.cpu_s / peer.cpu_s, "", "≤", SHARE),
            Check("share of its wall time", ours.wall_s / peer.wall_s, "", "≤", SHARE),
            Check("F1 gained", f1["ours"] - f1["scikit-learn"], "", "≥", 0),
        ],
        details=[
            {"what": name, "CPU s": round(one.cpu_s, 1), "wall s": round(one.wall_s, 1), "weighted F1": f1[name]}
            for name, one in found.items()
        ],
        note=(
            f"{LEARNT:,} products of the sample, {np.mean([len(text) for text in texts]):.0f} characters on average,"
            f" judged on {HELD_OUT:,} others; some labels are wrong on purpose. One round: it takes minutes."
        ),
    )


def _timed(
    fit_on: Callable[[list[str], NDArray[np.int64]], Predict], texts: list[str], labels: NDArray[np.int64]
) -> Fitted:
    cpu, wall = time.process_time(), time.perf_counter()
    predict = fit_on(texts, labels)
    return Fitted(predict, time.process_time() - cpu, time.perf_counter() - wall)


def _ours(texts: list[str], labels: NDArray[np.int64]) -> Predict:
    model = fit(texts, labels, TextFeatures(), 1.0, materials.SEED)
    return lambda asked: model.margins(asked).argmax(axis=1)


def _sklearn(texts: list[str], labels: NDArray[np.int64]) -> Predict:
    features = FeatureUnion(
        [
            ("words", TfidfVectorizer(ngram_range=(1, 2), min_df=2, sublinear_tf=True)),
            ("characters", TfidfVectorizer(analyzer="char_wb", ngram_range=(2, 5), min_df=2, sublinear_tf=True)),
        ]
    )
    predict: Predict = make_pipeline(features, LinearSVC(C=1.0, random_state=materials.SEED)).fit(texts, labels).predict
    return predict


def _f1(predict: Predict, texts: list[str], labels: NDArray[np.int64]) -> float:
    """Judge labels as probabilities of one: what the metric takes."""
    said = np.zeros((len(labels), len(CODES)), np.float32)
    said[np.arange(len(labels)), predict(texts)] = 1
    return weighted_f1(said, labels)
