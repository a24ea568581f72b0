"""The comparison as one page, with the reasons, both scores and two plots."""

from dataclasses import dataclass
from pathlib import Path

import jinja2
import numpy as np
from numpy.typing import NDArray

from product_classifier.evaluation.gate import GateDecision
from product_classifier.evaluation.metrics import CategoryScores, Scores
from product_classifier.taxonomy import CATEGORIES

_PAGE = Path(__file__).with_name("report.html")
_BARS = 41


@dataclass(frozen=True)
class Judged:
    """A release's answers to the hold-out, as positions `[n]`, and how good they are."""

    release: str
    answers: NDArray[np.int64]
    labels: NDArray[np.int64]
    scores: Scores
    categories: list[CategoryScores]


@dataclass(frozen=True)
class Bar:
    """One bar of the histogram: where it begins, how much of the tallest it is, and on which side of zero."""

    gain: float
    height: float
    better: bool


def render(decision: GateDecision, new: Judged, old: Judged | None, gains: NDArray[np.float64]) -> str:
    """Return the page."""
    environment = jinja2.Environment(autoescape=True, trim_blocks=True, lstrip_blocks=True)
    before = old.categories if old else [None] * len(new.categories)
    return environment.from_string(_PAGE.read_text("utf-8")).render(
        decision=decision,
        new=new,
        old=old,
        categories=list(zip(CATEGORIES, before, new.categories, strict=True)),
        bars=_histogram(gains),
        interval=[float(one) for one in np.quantile(gains, [0.025, 0.975])] if len(gains) else [],
        resamples=len(gains),
    )


def _histogram(gains: NDArray[np.float64]) -> list[Bar]:
    if not len(gains):
        return []
    reach = max(float(np.abs(gains).max()), 1e-6)
    counts, edges = np.histogram(gains, _BARS, (-reach, reach))
    middles = (edges[:-1] + edges[1:]) / 2
    return [
        Bar(float(edge), float(count / counts.max()), bool(middle > 0))
        for edge, count, middle in zip(edges, counts, middles, strict=False)
    ]
