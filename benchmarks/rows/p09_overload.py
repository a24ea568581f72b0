"""P9: overload at twice the capacity: goodput, and latency of the refusals."""

import time
from collections.abc import Mapping, Sequence
from functools import partial
from pathlib import Path
from typing import Any

from benchmarks import materials, payloads
from benchmarks.compare import alternate, median_and_range, median_of
from benchmarks.load import Load, http_closed_loop, http_open_loop, poisson, send_each
from benchmarks.machine import ALL
from benchmarks.outcome import Check, Outcome
from benchmarks.rows.p04_predict import PHOTOS, stock
from benchmarks.stack import running_product

GOODPUT = 0.9
MAX_REFUSAL_MS = 50.0
MIN_RATIO = 2.0
CONCURRENCY = 16
PEAK_S = 4.0
SECONDS = 8.0
RECOVERY_S = 30.0
ROUNDS = 2


def measure(folder: Path) -> Outcome:
    """Find the peak of each side, then offer twice that rate."""
    samples = list(zip(materials.products(PHOTOS), materials.photos(PHOTOS), strict=True))
    with running_product(folder, ALL) as ours, stock(folder) as peer:
        requests = {
            "ours": (ours.port, [payloads.predict(one, photo, ours.token) for one, photo in samples]),
            "stock": (peer["fusion"].port, [payloads.v1_product("fusion", one, photo) for one, photo in samples]),
        }
        sides = {name: partial(_overload, *of) for name, of in requests.items()}
        found = alternate(sides, ROUNDS)
    goodput = {name: median_of([_goodput(*one) for one in of]) for name, of in found.items()}
    refused_ms = median_of([load.percentile_ms(99, refused=True) for _, load in found["ours"]])
    answered_ms = {name: median_of([load.percentile_ms(99) for _, load in of]) for name, of in found.items()}
    return Outcome(
        ours=f"{goodput['ours']:.0%} of peak, refusals within {refused_ms:.0f} ms, responses within"
        f" {answered_ms['ours']:.0f} ms (p99)",
        peer=f"stock KServe wiring: {goodput['stock']:.0%} of its peak, responses within"
        f" {answered_ms['stock']:.0f} ms (p99)",
        ratio=None,
        checks=[
            Check("goodput, of the peak", goodput["ours"], "", "≥", GOODPUT),
            Check("refusals, p99", refused_ms, "ms", "≤", MAX_REFUSAL_MS),
        ],
        details=[_line(name, of) for name, of in found.items()],
    )


def _overload(port: int, requests: Sequence[bytes]) -> tuple[float, Load]:
    """Return the peak of a closed loop and the result of an open loop at twice that rate."""
    _recover(port, requests)
    http_closed_loop(port, requests, CONCURRENCY, PEAK_S / 4)
    peak = http_closed_loop(port, requests, CONCURRENCY, PEAK_S).rate
    return peak, http_open_loop(port, requests, poisson(MIN_RATIO * peak, SECONDS, 9))


def _goodput(peak: float, load: Load) -> float:
    """Return 2xx responses as a share of the peak; 0 if the server did not recover from the previous round."""
    return load.answered / SECONDS / peak if peak else 0.0


def _recover(port: int, requests: Sequence[bytes]) -> None:
    """Wait until the server responds within a second after the previous round."""
    until = time.monotonic() + RECOVERY_S
    while time.monotonic() < until:
        began = time.monotonic()
        if send_each(port, requests[:1])[0].status == 200 and time.monotonic() - began < 1:
            return


def _line(name: str, rounds: Sequence[tuple[float, Load]]) -> Mapping[str, Any]:
    loads = [load for _, load in rounds]
    return {
        "what": name,
        "peak per second": median_and_range([peak for peak, _ in rounds]),
        "offered per second": median_and_range([load.offered or 0 for load in loads]),
        "2xx per second": median_and_range([load.answered / SECONDS for load in loads]),
        "2xx, p99 ms": median_and_range([load.percentile_ms(99) for load in loads]),
        "refusals, p50 ms": median_and_range([load.percentile_ms(50, refused=True) for load in loads]),
        "refusals, p99 ms": median_and_range([load.percentile_ms(99, refused=True) for load in loads]),
        "statuses of the last round (0: no response within 20 s)": loads[-1].status_counts(),
    }
