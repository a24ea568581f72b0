"""CPU time of a function in this process."""

import time
from collections.abc import Callable


def ms_per_item(work: Callable[[], object], items: int) -> float:
    """Run `work` once and return CPU milliseconds per item; CPU time is unaffected by other processes."""
    start = time.process_time()
    work()
    return (time.process_time() - start) * 1000 / items
