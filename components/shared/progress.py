"""How far a step is, for the person in front of the terminal and for a log file alike."""

import sys
import time
from collections.abc import Callable

_PAUSE_S = 2.0


def on_stderr() -> Callable[[str, int, int], None]:
    """Return a callback that says on stderr how much is done: when it changes kind, ends, and every two seconds."""
    last_what, last_s = "", 0.0

    def tell(what: str, done: int, total: int) -> None:
        nonlocal last_what, last_s
        now_s = time.monotonic()
        if what != last_what or done >= total or now_s - last_s >= _PAUSE_S:
            last_what, last_s = what, now_s
            sys.stderr.write(f"{what}: {done:,} of {total:,}\n" if total else f"{what}: {done:,}\n")
            sys.stderr.flush()

    return tell
