"""Progress of a step on standard error, for a terminal and for a log file."""

import sys
import time
from collections.abc import Callable

_INTERVAL_S = 2.0


def on_stderr() -> Callable[[str, int, int], None]:
    """Return a callback (activity, done, total) that prints a new activity, its end, and every 2 s."""
    last_activity, last_s = "", 0.0

    def report(activity: str, done: int, total: int) -> None:
        nonlocal last_activity, last_s
        now_s = time.monotonic()
        if activity != last_activity or done >= total or now_s - last_s >= _INTERVAL_S:
            last_activity, last_s = activity, now_s
            sys.stderr.write(f"{activity}: {done:,} of {total:,}\n" if total else f"{activity}: {done:,}\n")
            sys.stderr.flush()

    return report
