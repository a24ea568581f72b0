"""Scores and latency of a replay, while it runs and at its end."""

from collections import Counter
from collections.abc import Iterable, Sequence
from dataclasses import asdict, dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from inference.simulation.open_loop import RequestOutcome
from product_classifier.evaluation.scores import (
    CategoryCounts,
    Confusion,
    Scores,
    confusion,
    largest_confusions,
    per_category,
    score,
)
from product_classifier.taxonomy import Codes
from product_classifier.top_probabilities import TopProbabilities

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

    `probabilities` has the confidence of the predicted category of each product alone; `labels` is [n].
    """

    codes: Codes
    """Categories of labels and predictions, in the order in which they occur."""
    probabilities: TopProbabilities
    labels: NDArray[np.int64]

    @classmethod
    def of(cls, outcomes: Iterable[RequestOutcome]) -> "PredictionScores":
        """Collect the outcomes that have a prediction."""
        answered = [(one.product.code, one.prediction) for one in outcomes if one.prediction is not None]
        codes = dict.fromkeys(code for label, prediction in answered for code in (label, prediction.code))
        positions = {code: position for position, code in enumerate(codes)}
        columns = np.array([[positions[one.code]] for _, one in answered], np.int32).reshape(-1, 1)
        values = np.array([[one.confidence] for _, one in answered], np.float32).reshape(-1, 1)
        labels = np.array([positions[code] for code, _ in answered], np.int64)
        return cls(tuple(codes), TopProbabilities(columns, values, max(len(codes), 1)), labels)

    @property
    def scores(self) -> Scores:
        """The scores that models are compared by."""
        return score(self.probabilities, self.labels)

    def confusion(self) -> NDArray[np.int64]:
        """Count predictions by category (rows) and predicted category (columns), for few categories."""
        return confusion(self.probabilities, self.labels)

    def largest_confusions(self, limit: int) -> list[Confusion]:
        """Return the pairs of categories that are confused most."""
        return largest_confusions(self.probabilities, self.labels, limit)

    def by_category(self) -> list[dict[str, Any]]:
        """Return the scores of each category that occurs or was predicted."""
        return [
            {"code": self.codes[one.index]} | {name: value for name, value in asdict(one).items() if name != "index"}
            for one in per_category(self.probabilities, self.labels)
            if one.items or one.precision
        ]

    def running_f1(self) -> list[tuple[int, float]]:
        """Return the weighted F1 of the first n predictions, for about `CURVE_POINTS` values of n."""
        counts, curve = CategoryCounts.empty(max(len(self.codes), 1)), []
        every = max(1, len(self.labels) // CURVE_POINTS)
        for done, (label, predicted) in enumerate(zip(self.labels, self.probabilities.predicted, strict=True), 1):
            counts.add(label, predicted)
            if done % every == 0 or done == len(self.labels):
                curve.append((done, counts.weighted_f1))
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
