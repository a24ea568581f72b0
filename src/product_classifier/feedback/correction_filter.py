"""Which corrections of the index are listed, and the conditions of SQL that select them."""

from dataclasses import dataclass
from datetime import datetime
from typing import Literal

from product_classifier.feedback.index_rows import to_microseconds
from product_classifier.feedback.search_terms import match_expression
from product_classifier.feedback.trust import State

Kind = Literal["correction", "confirmation"]
"""A confirmation names the category that was predicted."""


@dataclass(frozen=True, slots=True)
class CorrectionFilter:
    """Which corrections are listed; None and "" stand for any."""

    user: str | None = None
    state: State | None = None
    category: str | None = None
    """Code in the newest version of the taxonomy."""
    kind: Kind | None = None
    min_confidence: float | None = None
    max_confidence: float | None = None
    """Of the prediction; with one of the two, corrections without a known confidence are not listed."""
    since: datetime | None = None
    until: datetime | None = None
    q: str = ""
    """Words of the product."""

    @property
    def is_counted(self) -> bool:
        """Whether the index counts the corrections that match."""
        return self == CorrectionFilter(user=self.user, state=self.state)


ANY = CorrectionFilter()


def conditions_of(chosen: CorrectionFilter) -> tuple[str, list[str], list[object]]:
    """Return the joined table, the conditions and their values for a query of corrections `c`.

    Raises:
        InvalidInput: If `q` has no letter and no digit.
    """
    kind = None if chosen.kind is None else int(chosen.kind == "confirmation")
    tests: list[tuple[str, object]] = [
        ("c.user = ?", chosen.user),
        ("c.state = ?", chosen.state),
        ("c.read_code = ?", chosen.category),
        ("c.is_confirmation = ?", kind),
        ("c.confidence >= ?", chosen.min_confidence),
        ("c.confidence <= ?", chosen.max_confidence),
        ("c.created >= ?", None if chosen.since is None else to_microseconds(chosen.since)),
        ("c.created < ?", None if chosen.until is None else to_microseconds(chosen.until)),
        ("words MATCH ?", match_expression(chosen.q) if chosen.q else None),
    ]
    if chosen.min_confidence is not None:
        tests.append(("c.confidence <= ?", 1.0))
    used = [(condition, value) for condition, value in tests if value is not None]
    source = "JOIN words w ON w.rowid = c.words_number" if chosen.q else ""
    return source, ["c.status = 1", *(condition for condition, _ in used)], [value for _, value in used]
