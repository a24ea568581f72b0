"""Render a comparison as one page: reasons, both scores and two plots."""

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

import jinja2
import numpy as np
from numpy.typing import NDArray

from product_classifier.evaluation.gate import GateDecision
from product_classifier.evaluation.scores import CategoryScores, Scores, Selection
from product_classifier.taxonomy import Codes, Taxonomy

_PAGE = Path(__file__).with_name("report.html")
_BARS = 41


@dataclass(frozen=True)
class HoldOutScores:
    """Predictions of a release for the hold-out and their scores."""

    release: str
    taxonomy: Taxonomy
    predicted: NDArray[np.int64]
    """Columns of the predicted categories, `[n]`."""
    true_codes: Sequence[str]
    """Codes of the true categories `[n]`, also of those that the release does not answer."""
    scores: Scores
    categories: list[CategoryScores]
    selection: Selection
    """Predictions that are accepted without review."""

    @property
    def codes(self) -> Codes:
        """The categories, in the order of the columns."""
        return self.taxonomy.codes

    @property
    def predicted_codes(self) -> list[str]:
        """Codes of the predicted categories `[n]`."""
        return [self.codes[column] for column in self.predicted]


@dataclass(frozen=True)
class Bar:
    """One bar of the histogram."""

    gain: float
    """Lower edge."""
    height: float
    """Share of the highest bar."""
    better: bool


def render(
    decision: GateDecision,
    new: HoldOutScores,
    old: HoldOutScores | None,
    gains: NDArray[np.float64],
) -> str:
    """Return the page."""
    environment = jinja2.Environment(autoescape=True, trim_blocks=True, lstrip_blocks=True)
    before = {old.codes[one.index]: one for one in old.categories} if old else {}
    codes = [new.codes[one.index] for one in new.categories]
    return environment.from_string(_PAGE.read_text("utf-8")).render(
        decision=decision,
        new=new,
        old=old,
        categories=[
            (new.taxonomy[code], before.get(code), after) for code, after in zip(codes, new.categories, strict=True)
        ],
        bars=_histogram(gains),
        interval=[float(one) for one in np.quantile(gains, [0.025, 0.975])] if len(gains) else [],
        resamples=len(gains),
    )


def _histogram(gains: NDArray[np.float64]) -> list[Bar]:
    if not len(gains):
        return []
    limit = max(float(np.abs(gains).max()), 1e-6)
    counts, edges = np.histogram(gains, _BARS, (-limit, limit))
    middles = (edges[:-1] + edges[1:]) / 2
    return [
        Bar(float(edge), float(count / counts.max()), bool(middle > 0))
        for edge, count, middle in zip(edges, counts, middles, strict=False)
    ]
