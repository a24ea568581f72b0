"""Ours and the peer in turns, A B A B, so that whatever else the machine does meanwhile hits both."""

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from statistics import median
from typing import Any, TypeVar

from benchmarks.load import Load, closed
from benchmarks.processes import Server

ROUNDS = 3
FAILURES = 0.01
T = TypeVar("T")


class NotAnswered(Exception):
    """A server refused or dropped requests, so what it cost per answer means nothing."""


@dataclass(frozen=True)
class Measured:
    """What one run of load cost a server."""

    cpu_ms: float
    """Of one good answer."""
    load: Load


def in_turns(sides: Mapping[str, Callable[[], T]], rounds: int = ROUNDS) -> dict[str, list[T]]:
    """Measure every side once per round."""
    found: dict[str, list[T]] = {name: [] for name in sides}
    for _ in range(rounds):
        for name, measure in sides.items():
            found[name].append(measure())
    return found


def cpu_per_request(server: Server, requests: Sequence[bytes], at_once: int, seconds: float) -> Measured:
    """Load a server in a closed loop and read what it used."""
    return costing(server, lambda: closed(server.port, requests, at_once, seconds))


def costing(server: Server, run: Callable[[], Load]) -> Measured:
    """Run some load and read what a server used meanwhile."""
    before = server.cpu_s()
    load = run()
    used = server.cpu_s() - before
    if len(load.statuses) - load.answered > FAILURES * len(load.statuses):
        raise NotAnswered(f"{server.name} answered {load.counted()}; its log is {server.log}")
    return Measured(used * 1000 / max(load.answered, 1), load)


def middle(values: Sequence[float]) -> float:
    """Return the median."""
    return float(median(values))


def spread(values: Sequence[float]) -> str:
    """Return the median and the range of several rounds."""
    return f"{median(values):.3g} ({min(values):.3g}–{max(values):.3g})"


def line(what: str, rounds: Sequence[Measured]) -> Mapping[str, Any]:
    """Return one line of a table about CPU per request."""
    loads = [one.load for one in rounds]
    return {
        "what": what,
        "CPU ms per request": spread([one.cpu_ms for one in rounds]),
        "requests per second": spread([load.rate for load in loads]),
        "not answered": sum(len(load.statuses) - load.answered for load in loads),
        "generator's CPU share": spread([load.generator_cpu_s / load.seconds for load in loads]),
    }
