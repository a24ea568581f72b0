"""P18: the feedback service and the retrain trigger on a history of 1,000 to 1,000,000 corrections.

`SIZE=full` adds 1,000,000: about half an hour, 8 GB below the temporary folder.
"""

import http.client
import json
import os
import subprocess
import sys
import time
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from statistics import median
from typing import Any

from benchmarks import materials
from benchmarks.correction_history import write_history
from benchmarks.machine import ALL, pinned
from benchmarks.outcome import Check, Outcome
from benchmarks.processes import Server, ServerNotReady, start, stopping
from benchmarks.stack import free_ports
from operations.local.service_table import services
from operations.local.settings import Settings

SIZES = (1000, 10_000, 100_000)
FULL_SIZE = 1_000_000
GOAL_PAGE_MS = 50.0
GOAL_RECONCILIATION_MS = 100.0
GOAL_START_S = 60.0
GOAL_MEMORY_MIB = 300.0
MAX_GROWTH = 1.3
"""Largest ratio of the cost per correction, largest history over smallest: a B-tree is a few levels deeper."""
PAGES = 20
PAGE_PAUSE_S = 0.25
"""Pause between pages, so that some of them find that the index must be refreshed."""
RECONCILIATIONS = 20
POLL_S = 0.1
BUILD_TIMEOUT_S = 3600.0
SECRET = "benchmark-" * 4
ENVIRONMENT = {
    "FEEDBACK_DAILY_CORRECTIONS": "0",
    "FEEDBACK_INTERNAL_TOKEN": SECRET,
    "FEEDBACK_TRIGGER_URL": "",
    "LOG_FORMAT": "json",
    "RETRAIN_MIN_CORRECTIONS": "100000000",
    "RETRAIN_POLL_S": "3600",
    "RETRAIN_TOKEN": SECRET,
}
"""No quota, no run, and no reconciliation that was not requested."""
SERVICE, TRIGGER = "feedback-service", "retrain-trigger"


@dataclass(frozen=True)
class Sample:
    """What one history costs."""

    size: int
    index_us: float
    """CPU per correction of building the index."""
    build_s: float
    """Seconds until service and trigger, started together without an index, know all corrections."""
    start_s: Mapping[str, float]
    """Seconds to start with an existing index."""
    memory_mib: Mapping[str, float]
    """The larger of the memory after building the index and of that after the requests."""
    pages_ms: Sequence[float]
    reconciliation_ms: float
    """CPU of one reconciliation with one new correction."""

    @property
    def page_ms(self) -> float:
        """Median of the first page."""
        return median(self.pages_ms)


def measure(folder: Path) -> Outcome:
    """Measure histories of several sizes, one after the other."""
    sizes = (*SIZES, FULL_SIZE) if os.environ.get("SIZE") == "full" else SIZES
    samples = [_sample(folder / str(size), size) for size in sizes]
    last, growth = samples[-1], samples[-1].index_us / samples[0].index_us
    at = f"at {last.size:,} corrections"
    return Outcome(
        ours=f"{last.page_ms:.0f} ms, {last.reconciliation_ms:.0f} ms CPU, {max(last.start_s.values()):.1f} s, "
        f"{max(last.memory_mib.values()):.0f} MiB, {last.index_us:.0f} µs per correction {at}",
        peer="–",
        ratio=None,
        checks=[
            Check(f"first page of GET /feedback {at}", last.page_ms, "ms", "≤", GOAL_PAGE_MS),
            Check(f"CPU of a reconciliation {at}, one new", last.reconciliation_ms, "ms", "≤", GOAL_RECONCILIATION_MS),
            Check(f"start {at}, slower process", max(last.start_s.values()), "s", "≤", GOAL_START_S),
            Check(f"memory {at}, larger process", max(last.memory_mib.values()), "MiB", "≤", GOAL_MEMORY_MIB),
            Check(f"index CPU per correction, {last.size:,} over {sizes[0]:,}", growth, "×", "≤", MAX_GROWTH),
        ],
        details=[_row(sample) for sample in samples],
        series={"index, CPU µs per correction": [(one.size, one.index_us) for one in samples]},
        note="Spread over 365 days in a folder; 20 % of the products have two corrections, 5 % a text of 5,000 "
        "characters. Each process keeps its own index. Start: until the first complete page of the service, the first "
        "reconciliation of the trigger. Memory is the PSS of one process. `SIZE=full` adds 1,000,000.",
    )


def _sample(folder: Path, size: int) -> Sample:
    folder.mkdir()
    table = {one.name: one for one in services(Settings(port=free_ports(), state_dir=folder))}

    def launch(name: str) -> Server:
        service = table[name]
        return start(name, service.command, service.ports["http"], folder, ALL, {**service.environment, **ENVIRONMENT})

    store_url = Settings(state_dir=folder).store_url
    labels = write_history(store_url, size)
    index_us = _index_cpu_s(store_url, folder) * 1e6 / size

    began = time.perf_counter()
    with stopping([launch(SERVICE), launch(TRIGGER)]) as (service, trigger):
        _wait(service, lambda: _is_listed(service, size))
        _wait(trigger, lambda: _reconciliations(trigger) > 0)
        build_s = time.perf_counter() - began
        built = {one.name: one.memory_mb() for one in (service, trigger)}

    start_s, started = {}, list[Server]()
    with stopping(started):
        for name in (SERVICE, TRIGGER):
            began = time.perf_counter()
            started.append(launch(name))
            server = started[-1]
            _wait(server, partial(_is_listed, server, size) if name == SERVICE else partial(_reconciliations, server))
            start_s[name] = time.perf_counter() - began
        service, trigger = started
        pages_ms = [_first_page_ms(service) for _ in range(PAGES)]
        reconciliation_ms = sum(_reconciliation_cpu_s(service, trigger) for _ in range(RECONCILIATIONS))
        reconciliation_ms *= 1000 / RECONCILIATIONS
        _check_labels(trigger, labels + RECONCILIATIONS)
        memory = {one.name: max(built[one.name], one.memory_mb()) for one in started}
    return Sample(size, index_us, build_s, start_s, memory, pages_ms, reconciliation_ms)


def _row(sample: Sample) -> Mapping[str, Any]:
    return {
        "corrections": f"{sample.size:,}",
        "first page, median ms": round(sample.page_ms, 1),
        "first page, slowest ms": round(max(sample.pages_ms), 1),
        "reconciliation, CPU ms": round(sample.reconciliation_ms, 1),
        "start s, service": round(sample.start_s[SERVICE], 2),
        "start s, trigger": round(sample.start_s[TRIGGER], 2),
        "memory MiB, service": round(sample.memory_mib[SERVICE]),
        "memory MiB, trigger": round(sample.memory_mib[TRIGGER]),
        "index, CPU µs per correction": round(sample.index_us),
        "both build their index, s": round(sample.build_s, 1),
    }


def _index_cpu_s(store_url: str, folder: Path) -> float:
    command = [sys.executable, "-m", "benchmarks.correction_history", store_url, str(folder)]
    with pinned(ALL):
        done = subprocess.run(command, check=True, capture_output=True, text=True)  # noqa: S603 - a fixed command
    return float(done.stdout.split()[-1])


def _first_page_ms(service: Server) -> float:
    time.sleep(PAGE_PAUSE_S)
    began = time.perf_counter()
    status, body = _send(service, "GET", "/feedback")
    took_ms = (time.perf_counter() - began) * 1000
    if status != 200:
        raise ServerNotReady(f"GET /feedback answered {status}: {body[:200]!r}")
    return took_ms


def _reconciliation_cpu_s(service: Server, trigger: Server) -> float:
    """Submit a trusted correction, request a reconciliation and return the CPU seconds of the trigger."""
    before_s, count = trigger.cpu_s(), _reconciliations(trigger)
    product = {"designation": f"Produit {time.time_ns()}"}
    given = json.dumps({"product": product, "code": materials.products(1)[0].label}).encode()
    status, body = _send(service, "POST", "/feedback", given)
    if status != 201:
        raise ServerNotReady(f"POST /feedback answered {status}: {body[:200]!r}")
    _send(trigger, "POST", "/reconcile")
    _wait(trigger, lambda: _reconciliations(trigger) > count)
    return trigger.cpu_s() - before_s


def _check_labels(trigger: Server, expected: int) -> None:
    """Raise `ServerNotReady` unless the last reconciliation counted every label of the history and the new ones."""
    events = [json.loads(line) for line in trigger.log.read_text().splitlines() if line.startswith("{")]
    found = [event["corrections"] for event in events if event.get("event") == "reconciled" and "corrections" in event]
    if found[-1:] != [expected]:
        raise ServerNotReady(f"the trigger counted {found[-1:]} labels instead of {expected}; see {trigger.log}")


def _is_listed(service: Server, size: int) -> bool:
    status, body = _send(service, "GET", "/feedback?limit=1")
    if status != 200:
        return False
    page = json.loads(body)
    return bool(page["is_complete"] and page["total"] == size)


def _reconciliations(trigger: Server) -> int:
    """Return how many reconciliations found the index complete."""
    _, body = _send(trigger, "GET", "/metrics")
    lines = body.decode().splitlines()
    return sum(
        int(float(line.split()[-1]))
        for line in lines
        if line.startswith('product_classifier_reconciliations_total{step="waiting"}')
    )


def _wait(server: Server, is_done: Callable[[], object]) -> None:
    until = time.monotonic() + BUILD_TIMEOUT_S
    while time.monotonic() < until and server.process.poll() is None:
        try:
            if is_done():
                return
        except (OSError, http.client.HTTPException):
            pass  # not listening yet
        time.sleep(POLL_S)
    raise ServerNotReady(f"{server.name} is not ready; end of {server.log}:\n{server.log.read_text()[-2000:]}")


def _send(server: Server, method: str, path: str, body: bytes | None = None) -> tuple[int, bytes]:
    headers = {"X-Internal-Token": SECRET, "X-Auth-User": "rosa", "X-Auth-Role": "reviewer"}
    connection = http.client.HTTPConnection("127.0.0.1", server.port, timeout=30)
    try:
        connection.request(method, path, body, headers | ({"Content-Type": "application/json"} if body else {}))
        response = connection.getresponse()
        return response.status, response.read()
    finally:
        connection.close()
