"""The highest rate a service keeps up with: open loop, Poisson arrivals, a bound on p99."""

from collections.abc import Callable, Sequence
from dataclasses import dataclass

from benchmarks.load import Load, closed, planned, poisson

STEPS = 5
SECONDS = 4.0
WARM_UP_S = 2.0
AT_ONCE = 16
KEPT_UP = 0.95
"""Share of what was offered that has to be answered: less means that a queue grew all the time."""


@dataclass(frozen=True)
class Capacity:
    """What one search found."""

    rate: float
    """Requests per second, the highest tried that stayed within the bound."""
    p99_ms: float
    peak: float
    """Requests per second in a closed loop, whatever the latency."""
    cpu_ms: float
    """Per request in the closed loop."""
    tried: Sequence[tuple[float, float]]
    """Rates and their p99 in ms."""


def search(port: int, requests: Sequence[bytes], p99_ms: float, cpu_s: Callable[[], float], seed: int) -> Capacity:
    """Halve the interval between a rate that is kept up and one that is not."""
    closed(port, requests, AT_ONCE, WARM_UP_S / 2)
    before = cpu_s()
    top = closed(port, requests, AT_ONCE, WARM_UP_S)
    cpu_ms = (cpu_s() - before) * 1000 / max(top.answered, 1)
    kept, missed, best = 0.0, 1.1 * top.rate, Load(1, (), (), 0)
    tried = []
    for step in range(STEPS):
        rate = 0.8 * top.rate if not step else (kept + missed) / 2
        load = planned(port, requests, poisson(rate, SECONDS, seed + step))
        tried.append((rate, load.percentile_ms(99)))
        if load.percentile_ms(99) <= p99_ms and load.answered == len(load.statuses) and load.rate >= KEPT_UP * rate:
            kept, best = rate, load
        else:
            missed = rate
    return Capacity(kept, best.percentile_ms(99), top.rate, cpu_ms, sorted(tried))
