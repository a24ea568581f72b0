"""P9: twice as many requests as can be answered: how many still are, and how soon the others are told."""

import time
from collections.abc import Mapping, Sequence
from functools import partial
from pathlib import Path
from typing import Any

from benchmarks import materials, payloads
from benchmarks.compare import in_turns, middle, spread
from benchmarks.load import Load, answers, closed, planned, poisson
from benchmarks.machine import ALL
from benchmarks.outcome import Check, Outcome
from benchmarks.rows.p04_predict import PHOTOS, stock
from benchmarks.stack import product

GOODPUT = 0.9
REFUSED_MS = 50.0
TIMES = 2.0
AT_ONCE = 16
PEAK_S = 4.0
SECONDS = 8.0
RECOVERY_S = 30.0
ROUNDS = 2


def measure(folder: Path) -> Outcome:
    """Find the peak of either, then offer twice as much."""
    asked = list(zip(materials.products(PHOTOS), materials.photos(PHOTOS), strict=True))
    with product(folder, ALL) as ours, stock(folder) as peer:
        requests = {
            "ours": (ours.port, [payloads.predict(one, photo, ours.token) for one, photo in asked]),
            "stock": (peer["fusion"].port, [payloads.v1_product("fusion", one, photo) for one, photo in asked]),
        }
        sides = {name: partial(_overload, *of) for name, of in requests.items()}
        found = in_turns(sides, ROUNDS)
    kept = {name: middle([_goodput(*one) for one in of]) for name, of in found.items()}
    refused_ms = middle([load.percentile_ms(99, refused=True) for _, load in found["ours"]])
    waited_ms = {name: middle([load.percentile_ms(99) for _, load in of]) for name, of in found.items()}
    return Outcome(
        ours=f"{kept['ours']:.0%} of peak, refusals within {refused_ms:.0f} ms, answers within"
        f" {waited_ms['ours']:.0f} ms (p99)",
        peer=f"stock KServe wiring: {kept['stock']:.0%} of its peak, answers within {waited_ms['stock']:.0f} ms (p99)",
        ratio=None,
        checks=[
            Check("goodput, of the peak", kept["ours"], "", "≥", GOODPUT),
            Check("refusals, p99", refused_ms, "ms", "≤", REFUSED_MS),
        ],
        details=[_line(name, of) for name, of in found.items()],
    )


def _overload(port: int, requests: Sequence[bytes]) -> tuple[float, Load]:
    """Return the peak of a closed loop, and what an open one at twice that rate found."""
    _recover(port, requests)
    closed(port, requests, AT_ONCE, PEAK_S / 4)
    peak = closed(port, requests, AT_ONCE, PEAK_S).rate
    return peak, planned(port, requests, poisson(TIMES * peak, SECONDS, 9))


def _goodput(peak: float, load: Load) -> float:
    """Return answers of the peak's; none where a server did not even recover from the round before."""
    return load.answered / SECONDS / peak if peak else 0.0


def _recover(port: int, requests: Sequence[bytes]) -> None:
    """Wait until a server has worked off what an earlier round left it with."""
    until = time.monotonic() + RECOVERY_S
    while time.monotonic() < until:
        began = time.monotonic()
        if answers(port, requests[:1])[0].status == 200 and time.monotonic() - began < 1:
            return


def _line(name: str, rounds: Sequence[tuple[float, Load]]) -> Mapping[str, Any]:
    loads = [load for _, load in rounds]
    return {
        "what": name,
        "peak per second": spread([peak for peak, _ in rounds]),
        "offered per second": spread([load.offered or 0 for load in loads]),
        "answered per second of offering": spread([load.answered / SECONDS for load in loads]),
        "answers, p99 ms": spread([load.percentile_ms(99) for load in loads]),
        "refusals, p50 ms": spread([load.percentile_ms(50, refused=True) for load in loads]),
        "refusals, p99 ms": spread([load.percentile_ms(99, refused=True) for load in loads]),
        "statuses of the last round (0: no answer within 20 s)": loads[-1].counted(),
    }
