"""P10: train the text model on 85,000 products, against scikit-learn's TF-IDF and LinearSVC."""

import time
from collections.abc import Callable, Sequence
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
from benchmarks.processes import tree_cpu_s
from benchmarks.timing import ms_per_item
from components.train_text.linear_training import fit
from product_classifier.catalogue.challenge import CHALLENGE
from product_classifier.evaluation.scores import weighted_f1
from product_classifier.text.features import TextFeatures
from product_classifier.text.normalization import normalize

TRAINING_PRODUCTS = 85_000
HELD_OUT = 20_000
"""On fewer products, the standard error of the difference exceeds 0.002."""
LONG = 20_000
"""Number of lengthened products; fewer, because the cost is linear and this row takes the longest."""
LONG_CHARACTERS = 500
"""Mean length of a challenge description; those of the sample are shorter."""
SHARE = 0.6
OWN, LENGTHENED = "the sample's texts", "lengthened"
Predict = Callable[[list[str]], NDArray[Any]]


@dataclass(frozen=True)
class Fitted:
    """A fitted model and its cost."""

    predict: Predict
    cpu_s: float
    wall_s: float


def measure(_folder: Path) -> Outcome:
    """Fit each side once on all cores, on the sample's texts and on texts as long as the challenge's."""
    made = materials.products(TRAINING_PRODUCTS + HELD_OUT)
    labels = np.array([CHALLENGE.index_of(one.label) for one in made], np.int64)
    texts = [normalize(one.title, one.description) or "x" for one in made]
    with pinned(ALL):
        own = _both(texts[:TRAINING_PRODUCTS], labels[:TRAINING_PRODUCTS])
        f1 = {
            name: _f1(one.predict, texts[TRAINING_PRODUCTS:], labels[TRAINING_PRODUCTS:]) for name, one in own.items()
        }
        found = {OWN: own, LENGTHENED: _both(_lengthened(made[:LONG]), labels[:LONG])}
    share = {kind: of["ours"].wall_s / of["scikit-learn"].wall_s for kind, of in found.items()}
    cpu_share = {kind: of["ours"].cpu_s / of["scikit-learn"].cpu_s for kind, of in found.items()}
    return Outcome(
        ours=f"{own['ours'].wall_s:.0f} s, F1 {f1['ours']:.4f}; lengthened {found[LENGTHENED]['ours'].wall_s:.0f} s",
        peer=f"scikit-learn: {own['scikit-learn'].wall_s:.0f} s, F1 {f1['scikit-learn']:.4f};"
        f" lengthened {found[LENGTHENED]['scikit-learn'].wall_s:.0f} s",
        ratio=1 / share[LENGTHENED],
        checks=[
            *(Check(f"share of the peer's time, {kind}", value, "", "≤", SHARE) for kind, value in share.items()),
            Check("F1 gained, the sample's texts", f1["ours"] - f1["scikit-learn"], "", "≥", 0),
        ],
        details=[
            {"what": f"{name}, {kind}", "CPU s": round(one.cpu_s, 1), "wall s": round(one.wall_s, 1)}
            for kind, of in found.items()
            for name, one in of.items()
        ],
        profile=_profile(texts[:TRAINING_PRODUCTS], own["ours"]),
        note=(
            f"{TRAINING_PRODUCTS:,} products of {np.mean([len(text) for text in texts]):.0f} characters, evaluated"
            f" on {HELD_OUT:,} others;"
            f" {LONG:,} lengthened with descriptions of their category to the challenge's length (time only)."
            f" Shares of CPU time: {cpu_share[OWN]:.2f} and {cpu_share[LENGTHENED]:.2f}; scikit-learn uses one core."
        ),
    )


def _profile(texts: list[str], fitted: Fitted) -> Sequence[str]:
    """Return the CPU seconds of the parts of training."""
    hashing_s = ms_per_item(lambda: TextFeatures().matrix(texts), 1) / 1000
    return [
        f"{hashing_s:.1f} s CPU hashing words and characters",
        f"{fitted.cpu_s - hashing_s:.1f} s CPU TF-IDF weighting and fitting {len(CHALLENGE)} support vector machines",
    ]


def _both(texts: list[str], labels: NDArray[np.int64]) -> dict[str, Fitted]:
    return {"ours": _timed(_ours, texts, labels), "scikit-learn": _timed(_sklearn, texts, labels)}


def _lengthened(products: Sequence[materials.LabeledProduct]) -> list[str]:
    """Return texts of which two thirds have a description as long as the challenge's."""
    random = np.random.default_rng(materials.SEED)
    known: dict[str, list[str]] = {}
    for one in products:
        known.setdefault(one.label, [one.title]).append(one.description or one.title)
    texts = []
    for one in products:
        wanted = 0 if random.random() < 1 / 3 else random.lognormal(np.log(LONG_CHARACTERS), 0.7)
        body, others = one.description, known[one.label]
        while len(body) < wanted:
            body += f" {others[random.integers(len(others))]}"
        texts.append(normalize(one.title, body) or "x")
    return texts


def _timed(
    fit_on: Callable[[list[str], NDArray[np.int64]], Predict], texts: list[str], labels: NDArray[np.int64]
) -> Fitted:
    cpu, wall = tree_cpu_s(), time.perf_counter()
    predict = fit_on(texts, labels)
    return Fitted(predict, tree_cpu_s() - cpu, time.perf_counter() - wall)


def _ours(texts: list[str], labels: NDArray[np.int64]) -> Predict:
    model = fit(texts, labels, CHALLENGE.codes, TextFeatures(), 1.0, materials.SEED)
    return lambda unseen: model.margins(unseen).argmax(axis=1)


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
    """Return the weighted F1 of predicted labels, passed to the metric as one-hot probabilities."""
    one_hot = np.zeros((len(labels), len(CHALLENGE)), np.float32)
    one_hot[np.arange(len(labels)), predict(texts)] = 1
    return weighted_f1(one_hot, labels)
