"""Classification metrics: F1 overall and per category, calibration error and coverage."""

from dataclasses import dataclass
from typing import Final, Self

import numpy as np
from numpy.typing import NDArray

from product_classifier.top_probabilities import TopProbabilities

Floats = NDArray[np.floating]
Labels = NDArray[np.integer]
Predicted = Floats | TopProbabilities
"""Probabilities or scores `[n, classes]`, or the largest of them."""


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


MATRIX_CATEGORIES: Final = 60
"""Up to as many categories a report has the whole confusion matrix, else the largest `CONFUSIONS` pairs."""
CONFUSIONS: Final = 200


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


def select_per_category(found: Predicted, labels: Labels, accepted: NDArray[np.bool_]) -> list[Selection]:
    """Count accepted predictions of each predicted category, those without predictions included."""
    predicted, classes = _predicted(found)
    parts = [predicted, predicted[accepted], predicted[accepted & (predicted == labels)]]
    counts = [np.bincount(part, minlength=classes).tolist() for part in parts]
    return [Selection(*one) for one in zip(*counts, strict=True)]


@dataclass(frozen=True)
class CategoryCounts:
    """Products by category `[classes]`, all that F1 needs of a confusion matrix."""

    hits: NDArray[np.int64]
    """Products of the category that are predicted as it."""
    actual: NDArray[np.int64]
    predicted: NDArray[np.int64]

    @classmethod
    def of(cls, predicted: Labels, labels: Labels, classes: int) -> Self:
        """Count predicted and true positions `[n]`."""
        parts = labels[predicted == labels], labels, predicted
        return cls(*(np.bincount(part, minlength=classes) for part in parts))

    @classmethod
    def empty(cls, classes: int) -> Self:
        """Return counts of no products."""
        return cls(*np.zeros((3, classes), np.int64))

    def add(self, label: int, predicted: int) -> None:
        """Count one product more."""
        self.actual[label] += 1
        self.predicted[predicted] += 1
        self.hits[label] += label == predicted

    @property
    def f1(self) -> NDArray[np.float64]:
        """F1 by category `[classes]`; 0 for one that neither occurs nor is predicted."""
        found: NDArray[np.float64] = 2 * self.hits / np.maximum(self.actual + self.predicted, 1)
        return found

    @property
    def weighted_f1(self) -> float:
        """Weighted F1; 0 without items."""
        return float((self.f1 * self.actual).sum() / max(int(self.actual.sum()), 1))


@dataclass(frozen=True, slots=True)
class Confusion:
    """Products of one category that are predicted as another, by positions."""

    actual: int
    predicted: int
    items: int


def score(found: Predicted, labels: Labels) -> Scores:
    """Score predictions against label positions `[n]`."""
    if not len(labels):
        return Scores(0.0, 0.0, 0.0, 0.0, 0, 0.0)
    predicted, classes = _predicted(found)
    confidence = found.confidence if isinstance(found, TopProbabilities) else found.max(axis=1)
    counts = CategoryCounts.of(predicted, labels, classes)
    correct = predicted == labels
    return Scores(
        weighted_f1=counts.weighted_f1,
        macro_f1=float(counts.f1[counts.actual > 0].mean()),
        accuracy=float(correct.mean()),
        ece=calibration_error(confidence, correct),
        items=len(labels),
        coverage_at_99=coverage(confidence, correct, precision=0.99),
    )


def weighted_f1(found: Predicted, labels: Labels) -> float:
    """Return the weighted F1 of predictions, or of scores `[n, classes]` whose highest is the prediction."""
    predicted, classes = _predicted(found)
    return CategoryCounts.of(predicted, labels, classes).weighted_f1


def per_category(found: Predicted, labels: Labels) -> list[CategoryScores]:
    """Score every category, those without items included."""
    predicted, classes = _predicted(found)
    counts = CategoryCounts.of(predicted, labels, classes)
    precision = counts.hits / np.maximum(counts.predicted, 1)
    recall = counts.hits / np.maximum(counts.actual, 1)
    columns = precision, recall, counts.f1, counts.actual
    return [
        CategoryScores(index, *values)
        for index, values in enumerate(zip(*(column.tolist() for column in columns), strict=True))
    ]


def confusion(found: Predicted, labels: Labels) -> NDArray[np.int64]:
    """Return the confusion matrix `[true, predicted]`, which grows with the square of the classes."""
    predicted, classes = _predicted(found)
    cells = labels.astype(np.int64) * classes + predicted
    return np.bincount(cells, minlength=classes * classes).reshape(classes, classes)


def f1_by_position(predicted: Labels, labels: Labels, classes: int) -> tuple[Floats, NDArray[np.int64]]:
    """Return F1 and items of each position `[classes]`, of predicted and true positions `[n]`."""
    counts = CategoryCounts.of(predicted, labels, classes)
    return counts.f1, counts.actual


def largest_confusions(found: Predicted, labels: Labels, limit: int) -> list[Confusion]:
    """Return the `limit` pairs of different categories with the most products, most first."""
    predicted, classes = _predicted(found)
    wrong = predicted != labels
    cells, counts = np.unique(labels[wrong].astype(np.int64) * classes + predicted[wrong], return_counts=True)
    order = np.argsort(-counts, kind="stable")[:limit]
    return [Confusion(*divmod(int(cells[one]), classes), int(counts[one])) for one in order]


@dataclass(frozen=True, slots=True)
class ReliabilityBin:
    """Predictions with a confidence from `low` to `high`: its mean, and the share that is right."""

    low: float
    high: float
    items: int
    confidence: float
    accuracy: float


def calibration_bins(confidence: Floats, correct: NDArray[np.bool_], bins: int = 10) -> list[ReliabilityBin]:
    """Return the bins of a reliability diagram, of equal width, without empty ones."""
    bin_of = np.minimum((confidence * bins).astype(np.int64), bins - 1)
    found = []
    for one in np.unique(bin_of).tolist():
        rows = bin_of == one
        mean, right = float(confidence[rows].mean(dtype=np.float64)), float(correct[rows].mean())
        found.append(ReliabilityBin(one / bins, (one + 1) / bins, int(rows.sum()), mean, right))
    return found


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


def _predicted(found: Predicted) -> tuple[Labels, int]:
    """Return the predicted positions `[n]` and the number of categories."""
    if isinstance(found, TopProbabilities):
        return found.predicted, found.classes
    return found.argmax(axis=1), found.shape[1]
