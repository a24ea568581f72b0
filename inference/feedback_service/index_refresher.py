"""Refreshes an index in a thread, so that no request waits for the store."""

import threading
from collections.abc import Callable
from time import monotonic

from product_classifier.errors import ProductClassifierError
from product_classifier.observability import get_logger

PERIOD_S = 10.0
"""Pause between two refreshes that no request asks for."""
SLICE_S = 1.0
"""Time after which a refresh is interrupted and continued, so that those who wait for it can go on."""
RETRY_S = 1.0
"""Pause after an error, and between two batches of predictions that are read for their confidence."""
log = get_logger()


class IndexRefresher:
    """Refreshes until closed; `refresh` and `close` are thread-safe."""

    def __init__(self, refresh: Callable[[float], bool], read_more: Callable[[], bool] = lambda: False) -> None:
        """Take two methods of an index.

        Args:
            refresh: Indexes what was added, within some seconds; returns False if they were not enough for all.
            read_more: Reads some of what is not urgent; returns whether there may be more.
        """
        self._refresh_index = refresh
        self._read_more = read_more
        self._changed = threading.Condition()
        self._requested = 0
        self._finished = 0
        self._finished_at = -PERIOD_S
        self._closed = False

    def run(self) -> None:
        """Refresh at the start, on request and every `PERIOD_S`, until closed."""
        pause_s = 0.0
        while True:
            with self._changed:
                self._changed.wait_for(lambda: self._closed or self._requested > self._finished, pause_s)
                if self._closed:
                    return
                number = self._requested
            pause_s = self._refresh_once()
            with self._changed:
                self._finished = max(number, self._finished)
                self._finished_at = monotonic()
                self._changed.notify_all()

    def refresh(self, wait_s: float, max_age_s: float = 0.0) -> None:
        """Request a refresh, unless the last one is not older than `max_age_s`; wait for it at most `wait_s`."""
        with self._changed:
            if self._closed or monotonic() - self._finished_at <= max_age_s:
                return
            self._requested += 1
            number = self._requested
            self._changed.notify_all()
            self._changed.wait_for(lambda: self._closed or self._finished >= number, wait_s)

    def close(self) -> None:
        """End `run` after the refresh in progress."""
        with self._changed:
            self._closed = True
            self._changed.notify_all()

    def _refresh_once(self) -> float:
        """Refresh; return the seconds until the next refresh."""
        try:
            if not self._refresh_index(SLICE_S):
                return 0.0
            return RETRY_S if self._read_more() else PERIOD_S
        except ProductClassifierError as error:
            log.warning("index_refresh_failed", reason=str(error))
        except Exception:
            log.exception("index_refresh_failed")  # a defect must not end this thread
        return RETRY_S
