"""How good a classifier is: scores of one, of each category, and how far its confidence can be believed."""

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

Floats = NDArray[np.floating]
Labels = NDArray[np.integer]


@dataclass(frozen=True, slots=True)
class Scores:
    """Scores on `items` products; each is a share from 0 to 1, and 0 where there are no items."""

    weighted_f1: float
    macro_f1: float
    """Over the categories that are among the items."""
    accuracy: float
    ece: float
    """Expected calibration error: how far confidence is from accuracy, on average."""
    items: int
    coverage_at_99: float
    """The largest share of items, most confident first, of which 99 % are right."""


@dataclass(frozen=True, slots=True)
class CategoryScores:
    """Scores of one category, by its position in the probability vector."""

    index: int
    precision: float
    recall: float
    f1: float
    items: int


def score(probabilities: Floats, labels: Labels) -> Scores:
    """Score probabilities `[n, classes]` against label positions `[n]`."""
    if not len(labels):
        return Scores(0.0, 0.0, 0.0, 0.0, 0, 0.0)
    matrix = confusion(probabilities, labels)
    _, _, f1 = _rates(matrix)
    items = matrix.sum(axis=1)
    right = probabilities.argmax(axis=1) == labels
    confidence = probabilities.max(axis=1)
    return Scores(
        weighted_f1=float((f1 * items).sum() / items.sum()),
        macro_f1=float(f1[items > 0].mean()),
        accuracy=float(right.mean()),
        ece=calibration_error(confidence, right),
        items=len(labels),
        coverage_at_99=coverage(confidence, right, precision=0.99),
    )


def weighted_f1(scores: Floats, labels: Labels) -> float:
    """Return only the score that models are chosen by; any scores do, the highest of a row is its answer."""
    return weighted_f1_of_counts(confusion(scores, labels))


def weighted_f1_of_counts(matrix: NDArray[np.int64]) -> float:
    """Return the same from items counted by true category (rows) and answered category (columns); 0 without any."""
    return float((_rates(matrix)[2] * matrix.sum(axis=1)).sum() / max(matrix.sum(), 1))


def per_category(probabilities: Floats, labels: Labels) -> list[CategoryScores]:
    """Score each category, those without an item included."""
    matrix = confusion(probabilities, labels)
    precision, recall, f1 = _rates(matrix)
    return [
        CategoryScores(index, float(precision[index]), float(recall[index]), float(f1[index]), int(row.sum()))
        for index, row in enumerate(matrix)
    ]


def confusion(probabilities: Floats, labels: Labels) -> NDArray[np.int64]:
    """Count items by true category (rows) and answered category (columns)."""
    classes = probabilities.shape[1]
    cells = labels.astype(np.int64) * classes + probabilities.argmax(axis=1)
    return np.bincount(cells, minlength=classes * classes).reshape(classes, classes)


def calibration_error(confidence: Floats, right: NDArray[np.bool_], bins: int = 15) -> float:
    """Return the mean distance of confidence and accuracy over equally wide bins of confidence."""
    bin_of = np.minimum((confidence * bins).astype(np.int64), bins - 1)
    gaps = np.bincount(bin_of, right.astype(np.float64) - confidence.astype(np.float64), minlength=bins)
    return float(np.abs(gaps).sum() / max(len(right), 1))


def coverage(confidence: Floats, right: NDArray[np.bool_], precision: float) -> float:
    """Return the largest share of items, most confident first, that reaches `precision`."""
    order = np.argsort(-confidence, kind="stable")
    ranked, sorted_confidence = right[order], confidence[order]
    reached = np.cumsum(ranked) >= precision * np.arange(1, len(right) + 1) - 1e-9
    # A threshold cannot cut between equal confidences.
    reached &= np.append(sorted_confidence[1:] < sorted_confidence[:-1], True)
    hits = np.flatnonzero(reached)
    return float((hits[-1] + 1) / len(right)) if len(hits) else 0.0


def _rates(matrix: NDArray[np.int64]) -> tuple[Floats, Floats, Floats]:
    hits = np.diag(matrix).astype(np.float64)
    actual, answered = matrix.sum(axis=1), matrix.sum(axis=0)
    precision = hits / np.maximum(answered, 1)
    recall = hits / np.maximum(actual, 1)
    return precision, recall, 2 * hits / np.maximum(actual + answered, 1)
