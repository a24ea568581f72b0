"""Measure alternately (A B A B), so that other load on the machine affects all sides."""

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from statistics import median
from typing import Any, TypeVar

from benchmarks.load import Load, http_closed_loop
from benchmarks.processes import Server

ROUNDS = 3
FAILURES = 0.01
T = TypeVar("T")


class TooManyFailures(Exception):
    """Raised when a server refused or dropped requests: its CPU per response would be meaningless."""


@dataclass(frozen=True)
class RequestCost:
    """CPU of a server during one load run."""

    cpu_ms: float
    """CPU milliseconds per 2xx response."""
    load: Load


def alternate(sides: Mapping[str, Callable[[], T]], rounds: int = ROUNDS) -> dict[str, list[T]]:
    """Measure every side once per round, in order; return the values per side."""
    found: dict[str, list[T]] = {name: [] for name in sides}
    for _ in range(rounds):
        for name, measure in sides.items():
            found[name].append(measure())
    return found


def cpu_per_request(server: Server, requests: Sequence[bytes], concurrency: int, seconds: float) -> RequestCost:
    """Return the CPU per request of a server under a closed loop."""
    return measure_cost(server, lambda: http_closed_loop(server.port, requests, concurrency, seconds))


def measure_cost(server: Server, run: Callable[[], Load]) -> RequestCost:
    """Run a load and return the CPU a server used per request.

    Raises:
        TooManyFailures: If more than 1 % of the requests failed.
    """
    before = server.cpu_s()
    load = run()
    used = server.cpu_s() - before
    if len(load.statuses) - load.answered > FAILURES * len(load.statuses):
        raise TooManyFailures(
            f"{server.name}: too many failed requests, statuses {load.status_counts()}; see {server.log}"
        )
    return RequestCost(used * 1000 / max(load.answered, 1), load)


def median_of(values: Sequence[float]) -> float:
    """Return the median."""
    return float(median(values))


def median_and_range(values: Sequence[float]) -> str:
    """Return the median and the range of several rounds as text."""
    return f"{median(values):.3g} ({min(values):.3g}–{max(values):.3g})"


def cost_row(what: str, rounds: Sequence[RequestCost]) -> Mapping[str, Any]:
    """Return one row of a table about CPU per request."""
    loads = [one.load for one in rounds]
    return {
        "what": what,
        "CPU ms per request": median_and_range([one.cpu_ms for one in rounds]),
        "requests per second": median_and_range([load.rate for load in loads]),
        "failed": sum(len(load.statuses) - load.answered for load in loads),
        "CPU share of the load generator": median_and_range([load.generator_cpu_s / load.seconds for load in loads]),
    }
