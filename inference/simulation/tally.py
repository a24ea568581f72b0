"""Figures of a replay, while it runs and at its end."""

from collections import Counter
from collections.abc import Iterable, Sequence
from dataclasses import asdict, dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from inference.simulation.replay import Outcome
from product_classifier.evaluation.metrics import Scores, confusion, per_category, score, weighted_f1_of_counts
from product_classifier.taxonomy import CODES, index_of

PERCENTILES = (50, 95, 99)
CURVE_POINTS = 200


class Tally:
    """Counts outcomes as they come in, cheaply enough to be asked at any time."""

    def __init__(self) -> None:
        self.answered = self.unanswered = self.degraded = 0
        self._latencies: list[float] = []
        self._counts = np.zeros((len(CODES), len(CODES)), np.int64)

    def add(self, outcome: Outcome) -> None:
        """Count one."""
        if outcome.answer is None:
            self.unanswered += 1
            return
        self.answered += 1
        self.degraded += outcome.answer.degraded
        self._latencies.append(outcome.latency_s)
        self._counts[index_of(outcome.product.code), index_of(outcome.answer.code)] += 1

    @property
    def weighted_f1(self) -> float:
        """Over what was answered so far."""
        return weighted_f1_of_counts(self._counts)

    def latency_ms(self) -> dict[str, float]:
        """Return the percentiles so far."""
        return percentiles_ms(self._latencies)


@dataclass(frozen=True)
class Judged:
    """How right the answers were; the confidence of an answer stands in its category's place."""

    probabilities: NDArray[np.float32]
    labels: NDArray[np.int64]

    @classmethod
    def of(cls, outcomes: Iterable[Outcome]) -> "Judged":
        """Judge what was answered."""
        answered = [(one.product.code, one.answer) for one in outcomes if one.answer is not None]
        probabilities = np.zeros((len(answered), len(CODES)), np.float32)
        for row, (_, answer) in enumerate(answered):
            probabilities[row, index_of(answer.code)] = max(answer.confidence, 1e-6)
        return cls(probabilities, np.array([index_of(code) for code, _ in answered], np.int64))

    @property
    def scores(self) -> Scores:
        """The scores models are compared by."""
        return score(self.probabilities, self.labels)

    def confusion(self) -> NDArray[np.int64]:
        """Count answers by true category (rows) and answered category (columns)."""
        return confusion(self.probabilities, self.labels)

    def by_category(self) -> list[dict[str, Any]]:
        """Return the scores of each category that was asked about or answered."""
        return [
            {"code": CODES[one.index]} | {name: value for name, value in asdict(one).items() if name != "index"}
            for one in per_category(self.probabilities, self.labels)
            if one.items or one.precision
        ]

    def running_f1(self) -> list[tuple[int, float]]:
        """Return how the weighted F1 of all answers so far went."""
        counts, curve = np.zeros((len(CODES), len(CODES)), np.int64), []
        every = max(1, len(self.labels) // CURVE_POINTS)
        for done, (label, answer) in enumerate(zip(self.labels, self.probabilities.argmax(axis=1), strict=True), 1):
            counts[label, answer] += 1
            if done % every == 0 or done == len(self.labels):
                curve.append((done, weighted_f1_of_counts(counts)))
        return curve


def requests(outcomes: Sequence[Outcome], planned: int) -> dict[str, Any]:
    """Count what became of the requests."""
    answers = [one.answer for one in outcomes if one.answer is not None]
    return {
        "planned": planned,
        "answered": len(answers),
        "unanswered": len(outcomes) - len(answers),
        "degraded": sum(answer.degraded for answer in answers),
        "reasons": dict(Counter(one.reason for one in outcomes if one.answer is None).most_common()),
        "releases": dict(Counter(answer.release for answer in answers).most_common()),
    }


def percentiles_ms(seconds: Sequence[float]) -> dict[str, float]:
    """Return percentiles and the maximum in milliseconds; empty without a value."""
    if not seconds:
        return {}
    values = np.percentile(seconds, PERCENTILES) * 1000
    named = {f"p{name}": round(float(value), 2) for name, value in zip(PERCENTILES, values, strict=True)}
    return named | {"max": round(max(seconds) * 1000, 2)}
