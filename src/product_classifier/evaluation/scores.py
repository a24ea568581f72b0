"""Classification metrics: F1 overall and per category, calibration error and coverage."""

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

Floats = NDArray[np.floating]
Labels = NDArray[np.integer]


@dataclass(frozen=True, slots=True)
class Scores:
    """Scores on `items` products, each from 0 to 1; all 0 without items."""

    weighted_f1: float
    macro_f1: float
    """Mean F1 of the categories with at least one item."""
    accuracy: float
    ece: float
    """Expected calibration error (Naeini et al. 2015) of the top-1 confidence, 15 bins of equal width."""
    items: int
    coverage_at_99: float
    """Largest share of items, most confident first, with an accuracy of 99 %."""


@dataclass(frozen=True, slots=True)
class CategoryScores:
    """Scores of one category; `index` is its position in the probability vector."""

    index: int
    precision: float
    recall: float
    f1: float
    items: int


@dataclass(frozen=True, slots=True)
class Selection:
    """Number of predictions, of accepted ones, and of accepted ones that are right."""

    items: int
    accepted: int
    correct: int

    @property
    def coverage(self) -> float:
        """Return the share of the predictions that are accepted; 0 without predictions."""
        return self.accepted / max(self.items, 1)

    @property
    def precision(self) -> float | None:
        """Return the share of the accepted predictions that are right; None without accepted ones."""
        return self.correct / self.accepted if self.accepted else None


def select(accepted: NDArray[np.bool_], correct: NDArray[np.bool_]) -> Selection:
    """Count accepted predictions `[n]` and those of them that are right."""
    return Selection(len(accepted), int(accepted.sum()), int((accepted & correct).sum()))


def select_per_category(probabilities: Floats, labels: Labels, accepted: NDArray[np.bool_]) -> list[Selection]:
    """Count accepted predictions of each predicted category, those without predictions included."""
    predicted = probabilities.argmax(axis=1)
    correct = predicted == labels
    return [
        select(accepted[predicted == category], correct[predicted == category])
        for category in range(probabilities.shape[1])
    ]


def score(probabilities: Floats, labels: Labels) -> Scores:
    """Score probabilities `[n, classes]` against label positions `[n]`."""
    if not len(labels):
        return Scores(0.0, 0.0, 0.0, 0.0, 0, 0.0)
    matrix = confusion(probabilities, labels)
    _, _, f1 = _rates(matrix)
    items = matrix.sum(axis=1)
    correct = probabilities.argmax(axis=1) == labels
    confidence = probabilities.max(axis=1)
    return Scores(
        weighted_f1=float((f1 * items).sum() / items.sum()),
        macro_f1=float(f1[items > 0].mean()),
        accuracy=float(correct.mean()),
        ece=calibration_error(confidence, correct),
        items=len(labels),
        coverage_at_99=coverage(confidence, correct, precision=0.99),
    )


def weighted_f1(scores: Floats, labels: Labels) -> float:
    """Return the weighted F1 of scores `[n, classes]`, of which the highest of a row is the prediction."""
    return weighted_f1_of_counts(confusion(scores, labels))


def weighted_f1_of_counts(matrix: NDArray[np.int64]) -> float:
    """Return the weighted F1 of a confusion matrix `[true, predicted]`; 0 without items."""
    return float((_rates(matrix)[2] * matrix.sum(axis=1)).sum() / max(matrix.sum(), 1))


def per_category(probabilities: Floats, labels: Labels) -> list[CategoryScores]:
    """Score every category, those without items included."""
    matrix = confusion(probabilities, labels)
    precision, recall, f1 = _rates(matrix)
    return [
        CategoryScores(index, float(precision[index]), float(recall[index]), float(f1[index]), int(row.sum()))
        for index, row in enumerate(matrix)
    ]


def confusion(probabilities: Floats, labels: Labels) -> NDArray[np.int64]:
    """Return the confusion matrix `[true, predicted]` of scores `[n, classes]` and label positions `[n]`."""
    classes = probabilities.shape[1]
    cells = labels.astype(np.int64) * classes + probabilities.argmax(axis=1)
    return np.bincount(cells, minlength=classes * classes).reshape(classes, classes)


def f1_by_position(predicted: Labels, labels: Labels, classes: int) -> tuple[Floats, NDArray[np.int64]]:
    """Return F1 and items of each position `[classes]`, of predicted and true positions `[n]`."""
    items = np.bincount(labels, minlength=classes)
    hits = np.bincount(labels[predicted == labels], minlength=classes)
    f1: Floats = 2 * hits / np.maximum(items + np.bincount(predicted, minlength=classes), 1)
    return f1, items


def calibration_error(confidence: Floats, correct: NDArray[np.bool_], bins: int = 15) -> float:
    """Return the expected calibration error over confidence bins of equal width."""
    bin_of = np.minimum((confidence * bins).astype(np.int64), bins - 1)
    gaps = np.bincount(bin_of, correct.astype(np.float64) - confidence.astype(np.float64), minlength=bins)
    return float(np.abs(gaps).sum() / max(len(correct), 1))


def coverage(confidence: Floats, correct: NDArray[np.bool_], precision: float) -> float:
    """Return the largest share of items, most confident first, whose accuracy is at least `precision`."""
    order = np.argsort(-confidence, kind="stable")
    ranked, sorted_confidence = correct[order], confidence[order]
    reached = np.cumsum(ranked) >= precision * np.arange(1, len(correct) + 1) - 1e-9
    # A threshold does not separate equal confidences.
    reached &= np.append(sorted_confidence[1:] < sorted_confidence[:-1], True)
    hits = np.flatnonzero(reached)
    return float((hits[-1] + 1) / len(correct)) if len(hits) else 0.0


def _rates(matrix: NDArray[np.int64]) -> tuple[Floats, Floats, Floats]:
    hits = np.diag(matrix).astype(np.float64)
    actual, predicted = matrix.sum(axis=1), matrix.sum(axis=0)
    precision = hits / np.maximum(predicted, 1)
    recall = hits / np.maximum(actual, 1)
    return precision, recall, 2 * hits / np.maximum(actual + predicted, 1)
