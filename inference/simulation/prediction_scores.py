"""Scores and latency of a replay, while it runs and at its end."""

from collections import Counter
from collections.abc import Iterable, Sequence
from dataclasses import asdict, dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from inference.simulation.open_loop import RequestOutcome
from product_classifier.evaluation.scores import Scores, confusion, per_category, score, weighted_f1_of_counts
from product_classifier.taxonomy import Codes

PERCENTILES = (50, 95, 99)
CURVE_POINTS = 200


class RunningScores:
    """Counts outcomes one by one; its values may be read at any time."""

    def __init__(self) -> None:
        self.answered = self.unanswered = self.degraded = 0
        self._latencies: list[float] = []
        self._labels: Counter[str] = Counter()
        self._predicted: Counter[str] = Counter()
        self._right: Counter[str] = Counter()

    def add(self, outcome: RequestOutcome) -> None:
        """Count one outcome."""
        if outcome.prediction is None:
            self.unanswered += 1
            return
        self.answered += 1
        self.degraded += outcome.prediction.degraded
        self._latencies.append(outcome.latency_s)
        label, predicted = outcome.product.code, outcome.prediction.code
        self._labels[label] += 1
        self._predicted[predicted] += 1
        self._right[label] += label == predicted

    @property
    def weighted_f1(self) -> float:
        """Weighted F1 of the predictions so far."""
        f1 = {code: 2 * self._right[code] / (items + self._predicted[code]) for code, items in self._labels.items()}
        return sum(self._labels[code] * one for code, one in f1.items()) / max(self.answered, 1)

    def latency_ms(self) -> dict[str, float]:
        """Return percentiles of the latency so far."""
        return percentiles_ms(self._latencies)


@dataclass(frozen=True)
class PredictionScores:
    """Predictions with their labels.

    `probabilities` is [n, classes] with the confidence at the predicted category and 0 elsewhere; `labels` is [n].
    """

    codes: Codes
    """Categories of labels and predictions, in the order in which they occur."""
    probabilities: NDArray[np.float32]
    labels: NDArray[np.int64]

    @classmethod
    def of(cls, outcomes: Iterable[RequestOutcome]) -> "PredictionScores":
        """Collect the outcomes that have a prediction."""
        answered = [(one.product.code, one.prediction) for one in outcomes if one.prediction is not None]
        codes = dict.fromkeys(code for label, prediction in answered for code in (label, prediction.code))
        positions = {code: position for position, code in enumerate(codes)}
        probabilities = np.zeros((len(answered), max(len(codes), 1)), np.float32)
        for row, (_, prediction) in enumerate(answered):
            probabilities[row, positions[prediction.code]] = max(prediction.confidence, 1e-6)
        return cls(tuple(codes), probabilities, np.array([positions[code] for code, _ in answered], np.int64))

    @property
    def scores(self) -> Scores:
        """The scores that models are compared by."""
        return score(self.probabilities, self.labels)

    def confusion(self) -> NDArray[np.int64]:
        """Count predictions by category (rows) and predicted category (columns)."""
        return confusion(self.probabilities, self.labels)

    def by_category(self) -> list[dict[str, Any]]:
        """Return the scores of each category that occurs or was predicted."""
        return [
            {"code": self.codes[one.index]} | {name: value for name, value in asdict(one).items() if name != "index"}
            for one in per_category(self.probabilities, self.labels)
            if one.items or one.precision
        ]

    def running_f1(self) -> list[tuple[int, float]]:
        """Return the weighted F1 of the first n predictions, for about `CURVE_POINTS` values of n."""
        counts, curve = np.zeros([max(len(self.codes), 1)] * 2, np.int64), []
        every = max(1, len(self.labels) // CURVE_POINTS)
        for done, (label, predicted) in enumerate(zip(self.labels, self.probabilities.argmax(axis=1), strict=True), 1):
            counts[label, predicted] += 1
            if done % every == 0 or done == len(self.labels):
                curve.append((done, weighted_f1_of_counts(counts)))
        return curve


def count_requests(outcomes: Sequence[RequestOutcome], planned: int) -> dict[str, Any]:
    """Count requests by their result."""
    predictions = [one.prediction for one in outcomes if one.prediction is not None]
    return {
        "planned": planned,
        "answered": len(predictions),
        "unanswered": len(outcomes) - len(predictions),
        "degraded": sum(prediction.degraded for prediction in predictions),
        "reasons": dict(Counter(one.reason for one in outcomes if one.prediction is None).most_common()),
        "releases": dict(Counter(prediction.release for prediction in predictions).most_common()),
    }


def percentiles_ms(seconds: Sequence[float]) -> dict[str, float]:
    """Return percentiles and the maximum in milliseconds; empty without a value."""
    if not seconds:
        return {}
    values = np.percentile(seconds, PERCENTILES) * 1000
    named = {f"p{name}": round(float(value), 2) for name, value in zip(PERCENTILES, values, strict=True)}
    return named | {"max": round(max(seconds) * 1000, 2)}
