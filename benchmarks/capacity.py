"""Search for the highest sustainable request rate: open loop, Poisson arrivals, a bound on p99."""

from collections.abc import Callable, Sequence
from dataclasses import dataclass

from benchmarks.load import Load, http_closed_loop, http_open_loop, poisson

STEPS = 5
SECONDS = 4.0
WARM_UP_S = 2.0
CONCURRENCY = 16
SUSTAINED_SHARE = 0.95
"""Share of the offered rate that must be answered; below it, a queue grew during the whole run."""


@dataclass(frozen=True)
class Capacity:
    """The result of one search."""

    rate: float
    """The highest rate tried within the bound, in requests per second."""
    p99_ms: float
    peak: float
    """Throughput of a closed loop at any latency, in requests per second."""
    cpu_ms: float
    """CPU per request in the closed loop, in milliseconds."""
    tried: Sequence[tuple[float, float]]
    """(rate, p99 in ms) of every attempt, ascending by rate."""


def search(port: int, requests: Sequence[bytes], p99_ms: float, cpu_s: Callable[[], float], seed: int) -> Capacity:
    """Bisect between a rate the server sustains and one it does not."""
    http_closed_loop(port, requests, CONCURRENCY, WARM_UP_S / 2)
    before = cpu_s()
    top = http_closed_loop(port, requests, CONCURRENCY, WARM_UP_S)
    cpu_ms = (cpu_s() - before) * 1000 / max(top.answered, 1)
    sustained, missed, best = 0.0, 1.1 * top.rate, Load(1, (), (), 0)
    tried = []
    for step in range(STEPS):
        rate = 0.8 * top.rate if not step else (sustained + missed) / 2
        load = http_open_loop(port, requests, poisson(rate, SECONDS, seed + step))
        tried.append((rate, load.percentile_ms(99)))
        if (
            load.percentile_ms(99) <= p99_ms
            and load.answered == len(load.statuses)
            and load.rate >= SUSTAINED_SHARE * rate
        ):
            sustained, best = rate, load
        else:
            missed = rate
    return Capacity(sustained, best.percentile_ms(99), top.rate, cpu_ms, sorted(tried))
