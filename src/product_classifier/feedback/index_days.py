"""Numbers of corrections by day, for charts."""

from dataclasses import dataclass
from datetime import date, datetime, timedelta
from sqlite3 import Connection

from product_classifier.feedback.index_rows import EPOCH, MICROSECOND
from product_classifier.feedback.trust import TRUSTED_STATES

DAY_US = 86_400_000_000
_QUERY = f"""
SELECT created / {DAY_US}, count(*), sum(code = predicted),
    sum(state IN ({", ".join(f"'{state}'" for state in sorted(TRUSTED_STATES))})), sum(state = 'rejected')
FROM corrections WHERE status = 1 AND created >= ? GROUP BY 1 ORDER BY 1
"""  # noqa: S608 - constants


@dataclass(frozen=True, slots=True)
class DayCounts:
    """Corrections of one day (UTC), by what became of them."""

    day: date
    corrections: int
    confirmations: int
    """Those whose category is the predicted one."""
    accepted: int
    """Trusted, approved or agreed on."""
    rejected: int


def count_by_day(database: Connection, since: datetime) -> list[DayCounts]:
    """Return the counts of the days with corrections from that of `since` on, oldest first."""
    first = (since - EPOCH) // timedelta(days=1) * DAY_US
    rows = database.execute(_QUERY, (first,))
    return [
        DayCounts((EPOCH + number * DAY_US * MICROSECOND).date(), corrections, confirmations or 0, accepted, rejected)
        for number, corrections, confirmations, accepted, rejected in rows
    ]
