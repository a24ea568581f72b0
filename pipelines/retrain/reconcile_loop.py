"""Reconcile periodically and on request."""

import threading
from collections import Counter
from collections.abc import Callable
from time import monotonic

from product_classifier.errors import ProductClassifierError
from product_classifier.observability import get_logger
from product_classifier.retraining.trigger import ReconcileResult, Trigger

DUE_AT_ONCE = frozenset({"indexing", "claimed", "closed"})
"""Steps after which the next one is due at once."""

IDLE = frozenset({"waiting", "cooling", "launcher_away"})
"""Steps after which the loop waits for the longer interval."""

log = get_logger()


class ReconcileLoop:
    """Calls `Trigger.reconcile` until closed; no exception ends it. `request` and `close` are thread-safe."""

    def __init__(
        self,
        trigger: Trigger,
        *,
        poll_s: float,
        busy_poll_s: float,
        reconcile_requests: Callable[[], bool] = lambda: False,
    ) -> None:
        """Take the trigger, the pauses, and what carries out requests and returns whether one is active."""
        self._trigger = trigger
        self._reconcile_requests = reconcile_requests
        self._poll_s = poll_s
        self._busy_poll_s = busy_poll_s
        self._requested = threading.Event()
        self._closed = threading.Event()
        self._last: ReconcileResult | None = None
        self.reconciled_at = monotonic()
        self.on_reconciled: Callable[[], None] = lambda: None
        """Called after each reconciliation."""
        self.steps: Counter[str] = Counter()
        """Number of reconciliations by the step taken, `error` for those that failed."""

    @property
    def age_s(self) -> float:
        """Seconds since the last reconciliation ended."""
        return monotonic() - self.reconciled_at

    def run(self) -> None:
        """Reconcile until closed."""
        while not self._closed.is_set():
            self._requested.clear()
            pause_s = self.reconcile_once()
            self.on_reconciled()
            self._requested.wait(pause_s)

    def reconcile_once(self) -> float:
        """Take the next step; return the seconds until the next reconciliation is due."""
        try:
            is_busy = self._reconcile_requests()
            result = self._trigger.reconcile()
        except (ProductClassifierError, OSError) as error:
            self.steps["error"] += 1
            log.warning("reconcile_failed", reason=str(error))
            return self._poll_s
        except Exception:
            self.steps["error"] += 1
            log.exception("reconcile_failed")  # a bug in one step must not end the loop
            return self._poll_s
        finally:
            self.reconciled_at = monotonic()
        self.steps[result.step] += 1
        if result != self._last:
            log.info("reconciled", **result.model_dump(exclude_none=True))
            self._last = result
        if result.step in DUE_AT_ONCE:
            return 0.0
        return self._poll_s if result.step in IDLE and not is_busy else self._busy_poll_s

    def reconcile_while_due(self) -> None:
        """Take all steps that are due now: a run that is claimed is also started."""
        while self.reconcile_once() == 0.0:
            pass

    def request(self) -> None:
        """Start the next reconciliation now; requests during a reconciliation are coalesced into one."""
        self._requested.set()

    def close(self) -> None:
        """End `run` after the reconciliation in progress."""
        self._closed.set()
        self._requested.set()
