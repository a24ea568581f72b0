"""How long a function takes on this process's core: the best of what several rounds agree on."""

import time
from collections.abc import Callable


def ms_per_item(work: Callable[[], object], items: int) -> float:
    """Run once and return the CPU milliseconds per item; CPU, because other processes' turns are not ours."""
    start = time.process_time()
    work()
    return (time.process_time() - start) * 1000 / items
