"""The number of corrections that one user may submit on a day."""

import threading
from collections import Counter
from collections.abc import Iterator
from contextlib import contextmanager
from datetime import UTC, datetime, timedelta
from math import ceil

from product_classifier.errors import IndexUnavailable, QuotaExceeded
from product_classifier.feedback.index import FeedbackIndex
from product_classifier.observability import get_logger

log = get_logger()


class DailyQuota:
    """Counts corrections by user and day (UTC) in the index, which survives restarts. Thread-safe."""

    def __init__(self, index: FeedbackIndex, limit: int) -> None:
        """Take the index and the number of corrections of a day; 0 for any number."""
        self._index = index
        self._limit = limit
        self._lock = threading.Lock()
        self._reserved: Counter[str] = Counter()

    @contextmanager
    def reserved(self, user: str, now: datetime) -> Iterator[None]:
        """Reserve one correction during the block, at whose end the index counts it if it was accepted.

        Raises:
            QuotaExceeded: If the user has submitted as many today, those being submitted included.
        """
        if not self._limit:
            yield
            return
        with self._lock:
            if self._submitted(user, now) + self._reserved[user] >= self._limit:
                raise QuotaExceeded(self._limit, _seconds_left(now))
            self._reserved[user] += 1
        try:
            yield
        finally:
            with self._lock:
                self._reserved[user] -= 1
                if not self._reserved[user]:
                    del self._reserved[user]

    def _submitted(self, user: str, now: datetime) -> int:
        try:
            return self._index.count_of_day(user, now.astimezone(UTC).date())
        except IndexUnavailable as error:
            log.warning("quota_unavailable", reason=str(error))
            return 0


def _seconds_left(now: datetime) -> int:
    """Return the seconds until the next day (UTC)."""
    midnight = now.astimezone(UTC).replace(hour=0, minute=0, second=0, microsecond=0)
    return max(1, ceil((midnight + timedelta(days=1) - now).total_seconds()))
