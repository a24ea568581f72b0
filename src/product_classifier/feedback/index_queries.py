"""Queries of the corrections in the index, and their pages."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import date, datetime
from sqlite3 import Connection
from typing import Literal

from product_classifier.errors import InvalidInput, UnknownFeedback
from product_classifier.feedback.correction_filter import ANY, CorrectionFilter, conditions_of
from product_classifier.feedback.correction_queries import NEWEST_FIRST, CorrectionQueries
from product_classifier.feedback.index_days import DayCounts, count_by_day
from product_classifier.feedback.index_rows import (
    EPOCH,
    SELECT_CORRECTIONS,
    IndexedCorrection,
    correction_of,
    to_blob,
    to_text,
)
from product_classifier.feedback.records import correction_key
from product_classifier.feedback.trust import State
from product_classifier.observability import get_logger

MAX_DAMAGED = 1000
TABLES = ("corrections", "reviews", "revisions")
Order = Literal["newest", "uncertain"]
ORDERS: Mapping[Order, tuple[str, str, str]] = {
    "newest": ("c.created, c.id", "<", NEWEST_FIRST),
    "uncertain": ("c.confidence, c.created, c.id", ">", "ORDER BY c.confidence, c.created, c.id"),
}
"""Columns of the cursor, how those of later pages compare with it, and the order."""
WORDS_ORDER = ("c.words_number", "<", "ORDER BY w.rowid DESC")
"""Those of the newest first, of a search for words."""

log = get_logger()


@dataclass(frozen=True, slots=True)
class IndexPage:
    """Corrections in their order, the cursor of the next page, and how many match on all pages."""

    items: Sequence[IndexedCorrection]
    next_cursor: str | None
    total: int | None
    """None if they cannot be counted without reading them."""


class IndexQueries(CorrectionQueries):
    """What the index holds now. Each method raises `IndexUnavailable` if its file cannot be read."""

    @property
    def damaged(self) -> dict[str, str]:
        """Reasons by key of the objects that cannot be used, at most `MAX_DAMAGED`."""
        with self._database.read() as database:
            return dict(database.execute("SELECT key, reason FROM damaged LIMIT ?", (MAX_DAMAGED,)))

    def damaged_count(self) -> int:
        """Return the number of objects that cannot be used."""
        return int(self._database.value("SELECT count(*) FROM damaged"))

    def unread_count(self) -> int:
        """Return the number of objects that are listed and not yet read."""
        tables = " UNION ALL ".join(f"SELECT id FROM {table} WHERE status = 0" for table in TABLES)  # noqa: S608
        return int(self._database.value(f"SELECT count(*) FROM ({tables})"))  # noqa: S608

    def find_id(self, identity: bytes) -> str | None:
        """Return the oldest id that ends with these 10 bytes, None if there is none."""
        found = self._database.value("SELECT min(id) FROM corrections WHERE substr(id, 7) = ?", identity)
        return None if found is None else to_text(found)

    def get(self, feedback_id: str) -> IndexedCorrection | None:
        """Return a correction, or None if it is not indexed."""
        try:
            correction_key(feedback_id)
        except InvalidInput:
            return None
        with self._database.read() as database:
            row = database.execute(
                f"{SELECT_CORRECTIONS} WHERE c.status = 1 AND c.id = ?", (to_blob(feedback_id),)
            ).fetchone()
        return None if row is None else correction_of(row)

    def page(
        self, chosen: CorrectionFilter = ANY, *, limit: int, cursor: str | None = None, order: Order = "newest"
    ) -> IndexPage:
        """Return corrections after the one whose id is the cursor.

        Args:
            chosen: Which corrections.
            limit: Corrections of the page.
            cursor: Id of the last correction on the page before.
            order: Newest first, or those of the least confident predictions first; without a known confidence, and of
                equal confidence, oldest first.

        Raises:
            UnknownFeedback: If no such page ends with the cursor.
            InvalidInput: If `q` has no letter and no digit.
        """
        source, conditions, values = conditions_of(chosen)
        columns, comparison, order_by = WORDS_ORDER if chosen.q and order == "newest" else ORDERS[order]
        with self._database.read() as database:
            if cursor is not None:
                own = "SELECT {} FROM corrections c WHERE c.status = 1 AND c.id = ? AND (? IS NULL OR c.user = ?)"
                row = (to_blob(cursor), chosen.user, chosen.user)
                found = database.execute(own.format(columns), row).fetchone()
                if found is None:
                    raise UnknownFeedback(f"cursor: no page ends with {cursor!r}; start again without it")
                conditions.append(f"({columns}) {comparison} ({', '.join('?' * len(found))})")
                values.extend(found)
            query = f"{SELECT_CORRECTIONS} {source} WHERE {' AND '.join(conditions)} {order_by} LIMIT ?"
            items = [correction_of(row) for row in database.execute(query, (*values, limit + 1))]
            total = _total(database, chosen.state, chosen.user) if chosen.is_counted else None
        more = len(items) > limit
        return IndexPage(items[:limit], items[limit - 1].feedback_id if more else None, total)

    def count_by_state(self, user: str | None = None) -> dict[State, int]:
        """Return the number of corrections, of a user if one is given, by state; some without any are missing."""
        table, where = ("state_counts", "1") if user is None else ("user_counts", "user = ?")
        with self._database.read() as database:
            query = f"SELECT state, n FROM {table} WHERE {where}"  # noqa: S608
            return dict(database.execute(query, () if user is None else (user,)))

    def count_of_day(self, user: str, day: date) -> int:
        """Return how many corrections a user submitted on a day (UTC)."""
        number = (day - EPOCH.date()).days
        return self._database.value("SELECT n FROM day_counts WHERE user = ? AND day = ?", user, number) or 0

    def states(self) -> dict[str, State]:
        """Return the state of every correction by feedback id; for small histories."""
        with self._database.read() as database:
            rows = database.execute("SELECT id, state FROM corrections WHERE status = 1")
            return {to_text(identifier): state for identifier, state in rows}

    def corrections(self) -> list[IndexedCorrection]:
        """Return every correction, in no particular order; for small histories."""
        with self._database.read() as database:
            return [correction_of(row) for row in database.execute(f"{SELECT_CORRECTIONS} WHERE c.status = 1")]

    def counts_by_day(self, since: datetime) -> list[DayCounts]:
        """Return the numbers of corrections of each day from that of `since` on, oldest first."""
        with self._database.read() as database:
            return count_by_day(database, since)

    def count_by_code(self) -> dict[str, int]:
        """Return the number of corrections by their code in the newest version of the taxonomy."""
        query = "SELECT read_code, count(*) FROM corrections WHERE status = 1 AND read_code IS NOT NULL GROUP BY 1"
        with self._database.read() as database:
            return dict(database.execute(query))

    def new_label_count(self) -> int:
        """Return the number of labels that are not in the watermark."""
        return int(self._database.value("SELECT n FROM totals WHERE name = 'new_labels'"))

    @property
    def watermark(self) -> str:
        """Name of the watermark, "" at first, "?" while it is replaced."""
        return self._database.meta("watermark") or ""


def _total(database: Connection, state: State | None, user: str | None) -> int:
    """Return the number of corrections, which triggers of the database count."""
    conditions = {name: value for name, value in (("user", user), ("state", state)) if value is not None}
    table = "state_counts" if user is None else "user_counts"
    where = " AND ".join(["1", *(f"{name} = ?" for name in conditions)])
    query = f"SELECT coalesce(sum(n), 0) FROM {table} WHERE {where}"  # noqa: S608
    return int(database.execute(query, tuple(conditions.values())).fetchone()[0])
