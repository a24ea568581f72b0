"""Which predictions to label first: the least confident ones, one for each group of near copies.

Uncertainty sampling by least confidence (Lewis and Gale 1994). The predictions are read once; memory is bounded by the
number that is returned, not by the number that is read.
"""

import heapq
from collections.abc import Iterable
from dataclasses import dataclass
from typing import Final

from product_classifier.evaluation.near_copies import NearCopies
from product_classifier.text.writing_systems import comparison_terms

CANDIDATES: Final = 8
"""Predictions that are kept for each one returned: near copies among them are removed at the end."""


@dataclass(frozen=True, slots=True)
class QueuedPrediction:
    """A prediction to label: its product, the predicted category and why it is in the queue."""

    prediction_id: str
    confidence: float
    code: str
    keys: tuple[str, ...]
    """Content keys of the product."""
    text: str
    """Normalized words of the product."""

    @property
    def reason(self) -> str:
        """Why it is in the queue."""
        return f"confidence {self.confidence:.2f}"


def build_queue(predictions: Iterable[QueuedPrediction], limit: int) -> list[QueuedPrediction]:
    """Return at most `limit` predictions, the least confident first, without near copies of one before.

    Of predictions for the same content the least confident is kept. Ties are broken by id, so that the order of the
    input does not matter.
    """
    kept: list[tuple[float, str, QueuedPrediction]] = []
    by_content: dict[tuple[str, ...], tuple[float, str]] = {}
    size = CANDIDATES * limit
    for one in predictions:
        rank = (-one.confidence, _inverted(one.prediction_id))
        before = by_content.get(one.keys) if one.keys else None
        if before is not None and before >= rank:
            continue
        if len(kept) >= size and rank <= kept[0][:2]:
            continue
        if one.keys:
            by_content[one.keys] = rank
        heapq.heappush(kept, (*rank, one))
        if len(kept) > size:
            *removed, last = heapq.heappop(kept)
            if by_content.get(last.keys) == tuple(removed):
                del by_content[last.keys]
    return _without_copies([one for _, _, one in sorted(kept, key=lambda entry: entry[:2], reverse=True)], limit)


def _without_copies(ordered: list[QueuedPrediction], limit: int) -> list[QueuedPrediction]:
    seen = NearCopies()
    found: list[QueuedPrediction] = []
    for one in ordered:
        if len(found) == limit:
            break
        if seen.add(one.keys, frozenset(comparison_terms(one.text))) is None:
            found.append(one)
    return found


def _inverted(identifier: str) -> str:
    """Return a text that sorts in the opposite order: of equally confident predictions the oldest comes first."""
    return identifier.translate(_INVERTED)


_INVERTED: Final = str.maketrans("0123456789abcdef", "fedcba9876543210")
