"""Memory of evaluation and fusion at 5,000 categories, which no table of all pairs fits."""

import tracemalloc
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest

from components.shared.out_of_fold import OutOfFold, read_out_of_fold, write_out_of_fold
from inference.simulation import plots
from inference.simulation.prediction_scores import PredictionScores
from product_classifier.evaluation.levels import levels
from product_classifier.evaluation.resampling import bootstrap_gains
from product_classifier.evaluation.scores import (
    largest_confusions,
    per_category,
    score,
    select_per_category,
    weighted_f1,
)
from product_classifier.evaluation.suspects import find_suspects
from product_classifier.fusion.fit import fit_fusion
from product_classifier.fusion.model import FusionModel
from product_classifier.taxonomy import Category, Taxonomy
from product_classifier.top_probabilities import CANDIDATES, TopProbabilities

CLASSES, PRODUCTS = 5000, 4000
BYTES = 75_000_000
"""Less than classes x classes or products x classes numbers of 32 bits take; a batch of products may take so much."""
PARENTS = tuple(f"p{number}" for number in range(500))
CODES = tuple(f"c{number}" for number in range(CLASSES))
TAXONOMY = Taxonomy(
    (*map(Category, PARENTS), *(Category(code, parent=PARENTS[at % len(PARENTS)]) for at, code in enumerate(CODES))),
    codes=CODES,
)
RANDOM = np.random.default_rng(5)
LABELS = RANDOM.integers(0, CLASSES, PRODUCTS)
FOLDS = np.arange(PRODUCTS) % 2
ALL = np.ones(PRODUCTS, np.bool_)


def top_probabilities() -> TopProbabilities:
    """Return candidates of which the label is the first of two thirds of the products."""
    columns = (LABELS[:, None] + np.arange(CANDIDATES) * 7) % CLASSES
    kept = np.sort(RANDOM.dirichlet(np.ones(CANDIDATES), PRODUCTS).astype(np.float32), axis=1)[:, ::-1]
    wrong = RANDOM.random(PRODUCTS) < 1 / 3
    columns[wrong] = np.roll(columns[wrong], 1, axis=1)
    return TopProbabilities(columns.astype(np.int32), kept, CLASSES)


FOUND = top_probabilities()
CORRECT = FOUND.predicted == LABELS
SIMULATED = PredictionScores(CODES, FOUND, LABELS)


def combine_top() -> object:
    ones, zeros = np.ones(CLASSES, np.float32), np.zeros(CLASSES, np.float32)
    return FusionModel(ones, ones, zeros, ones, zeros, ones, zeros, CODES).combine_top(FOUND, FOUND, ALL, ALL)


def by_level() -> object:
    return [score(level.sum_upward(FOUND), level.positions[LABELS]) for level in levels(TAXONOMY, CODES)]


def out_of_fold(folder: Path) -> object:
    write_out_of_fold(folder / "f.parquet", OutOfFold(np.arange(PRODUCTS), FOUND, CODES))
    return read_out_of_fold(folder / "f.parquet")


WORK: dict[str, Callable[[], object]] = {
    "scores": lambda: (score(FOUND, LABELS), weighted_f1(FOUND, LABELS)),
    "scores by category": lambda: (per_category(FOUND, LABELS), select_per_category(FOUND, LABELS, CORRECT)),
    "confusions": lambda: largest_confusions(FOUND, LABELS, 200),
    "scores by level": by_level,
    "gate": lambda: bootstrap_gains(FOUND.predicted, LABELS, LABELS, CLASSES, resamples=200),
    "suspects": lambda: find_suspects(FOUND, LABELS, [()] * PRODUCTS, [frozenset()] * PRODUCTS, 100),
    "fusion": combine_top,
    "fit of the fusion": lambda: fit_fusion(FOUND, FOUND, ALL, ALL, LABELS, FOLDS, CODES),
    "plots of a simulation": lambda: (plots.confusion(SIMULATED), plots.f1_by_category(SIMULATED)),
    "F1 over time": lambda: plots.running_f1(SIMULATED),
}


def peak(work: Callable[[], object]) -> int:
    """Return the most bytes that were allocated at once, arrays included."""
    tracemalloc.start()
    try:
        work()
        return tracemalloc.get_traced_memory()[1]
    finally:
        tracemalloc.stop()


@pytest.mark.parametrize("name", WORK)
def test_memory_is_bounded(name: str) -> None:
    assert peak(WORK[name]) < BYTES


def test_memory_of_out_of_fold_predictions_is_bounded(tmp_path: Path) -> None:
    assert peak(lambda: out_of_fold(tmp_path)) < BYTES


def test_a_table_of_all_pairs_would_exceed_the_bound() -> None:
    assert peak(lambda: np.zeros((CLASSES, CLASSES), np.float32)) >= BYTES
    assert peak(lambda: np.zeros((PRODUCTS, CLASSES), np.float32)) >= BYTES
