"""Whether a store accepts writes: write and delete a small object.

A store with a full disk, a missing folder or credentials that may only read responds to reads; only a write tells.
"""

import threading
import time
from collections.abc import Callable
from contextlib import suppress

from product_classifier.errors import StoreError
from product_classifier.observability import get_logger
from product_classifier.store import ObjectStore

INTERVAL_S = 5.0
"""How long a success is reused."""
RETRY_S = 1.0
"""How long a failure is reused."""
CONTENT = b"probe"
log = get_logger()


def probe_store(store: ObjectStore, key: str) -> None:
    """Write and delete an object; raise `StoreError` if it cannot be written."""
    store.put(key, CONTENT)
    with suppress(StoreError):  # credentials may not permit it, and an object that stays is overwritten next time
        store.delete(key)


class StoreProbe:
    """Runs a probe at most once per interval and waits for it no longer than a deadline; thread-safe."""

    def __init__(
        self,
        probe: Callable[[], None],
        *,
        deadline_s: float,
        interval_s: float = INTERVAL_S,
        clock: Callable[[], float] = time.monotonic,
    ) -> None:
        """Take a function that raises an error if the store cannot be written."""
        self._probe = probe
        self._deadline_s = deadline_s
        self._interval_s = interval_s
        self._clock = clock
        self._lock = threading.Lock()
        self._thread: threading.Thread | None = None
        self._checked = float("-inf")
        self._problem = self._found = ""

    def check(self) -> bool:
        """Return whether the store could be written at the last probe; the reason why not is logged."""
        with self._lock:
            age_s = self._clock() - self._checked
            if age_s > (min(self._interval_s, RETRY_S) if self._problem else self._interval_s):
                self._run()
            return not self._problem

    def _run(self) -> None:
        """Probe in a thread: an operation on a file system that hangs cannot be canceled."""
        if self._thread is None:
            self._found = ""
            self._thread = threading.Thread(target=self._try, name="store-probe", daemon=True)
            self._thread.start()
        self._thread.join(self._deadline_s)
        if self._thread.is_alive():
            self._report(f"no response within {self._deadline_s:g} s")  # the same thread is waited for next time
        else:
            self._thread = None
            self._report(self._found)
        self._checked = self._clock()

    def _try(self) -> None:
        try:
            self._probe()
        except Exception as error:  # noqa: BLE001 - whatever fails, the store cannot be written
            self._found = str(error) or type(error).__name__

    def _report(self, problem: str) -> None:
        if problem and not self._problem:
            log.warning("store_probe_failed", reason=problem)
        elif self._problem and not problem:
            log.info("store_probe_recovered")
        self._problem = problem
