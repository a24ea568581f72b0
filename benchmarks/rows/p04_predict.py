"""P4: `/predict` with text and photo on all cores, against a stock KServe wiring of the same models."""

from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from pathlib import Path

from benchmarks import capacity, materials, payloads
from benchmarks.capacity import Capacity
from benchmarks.compare import alternate, median_and_range, median_of
from benchmarks.environments import PEERS, python_of
from benchmarks.load import http_closed_loop
from benchmarks.machine import ALL
from benchmarks.outcome import Check, Outcome
from benchmarks.processes import Server, start, stopping
from benchmarks.stack import free_ports, running_product

P99_MS = 100.0
GOAL = 130.0
MIN_RATIO = 2.0
ROUNDS = 2
PHOTOS = 1200
"""Enough that no photo of a load run is already stored."""


def measure(folder: Path) -> Outcome:
    """Search the highest rate of each side with p99 within the bound."""
    samples = list(zip(materials.products(PHOTOS), materials.photos(PHOTOS), strict=True))
    with running_product(folder, ALL) as ours, stock(folder) as peer:
        mine = [payloads.predict(one, photo, ours.token) for one, photo in samples]
        theirs = [payloads.v1_product("fusion", one, photo) for one, photo in samples]
        found = alternate(
            {
                "ours": lambda: capacity.search(ours.port, mine, P99_MS, ours.cpu_s, 4),
                "stock": lambda: capacity.search(peer["fusion"].port, theirs, P99_MS, _cpu_s(peer), 4),
            },
            ROUNDS,
        )
        memory = {"ours": ours.memory_mb(), "stock": sum(server.memory_mb() for server in peer.values())}
        shares = ours.cpu_by_service(
            lambda: http_closed_loop(ours.port, mine, capacity.CONCURRENCY, capacity.WARM_UP_S)
        )
    rate = {name: median_of([one.rate for one in rounds]) for name, rounds in found.items()}
    times = rate["ours"] / rate["stock"] if rate["stock"] else float("inf")
    return Outcome(
        ours=f"{rate['ours']:.0f}/s",
        peer=f"stock KServe wiring: {rate['stock']:.0f}/s",
        ratio=times,
        checks=[
            Check(f"requests per second with p99 ≤ {P99_MS:g} ms", rate["ours"], "/s", "≥", GOAL),
            Check("times the peer's", times, "×", "≥", MIN_RATIO),
        ],
        details=[describe(name, rounds, memory[name]) for name, rounds in found.items()],
        profile=[f"{name}: {cpu} ms CPU per request" for name, cpu in shares.items()],
        series={name: rounds[-1].tried for name, rounds in found.items()},
    )


def describe(name: str, rounds: Sequence[Capacity], memory_mb: float) -> Mapping[str, object]:
    """Return one table row about capacity."""
    return {
        "what": name,
        "rate with p99 in bounds": median_and_range([one.rate for one in rounds]),
        "p99 ms there": median_and_range([one.p99_ms for one in rounds]),
        "peak of a closed loop": median_and_range([one.peak for one in rounds]),
        "CPU ms per request": median_and_range([one.cpu_ms for one in rounds]),
        "memory MiB": round(memory_mb),
    }


@contextmanager
def stock(folder: Path) -> Iterator[Mapping[str, Server]]:
    """Run the models wired as in the SDK's samples."""
    port = free_ports()
    ports = {"text": port, "image": port + 1, "fusion": port + 2}
    environment = {
        "BENCH_RELEASE": str(materials.release()),
        "BENCH_TEXT_URL": f"http://127.0.0.1:{port}",
        "BENCH_IMAGE_URL": f"http://127.0.0.1:{port + 1}",
        "PYTHONPATH": str(Path("src").resolve()),
        "OMP_NUM_THREADS": "1",
    }
    command = [str(python_of("kserve")), str(PEERS / "kserve_models.py")]
    started = [
        start(f"stock-{kind}", [*command, kind, "--http_port", str(at)], at, folder, ALL, environment)
        for kind, at in ports.items()
    ]
    with stopping(started):
        for server in started:
            server.wait("/v2/health/ready")
        yield dict(zip(ports, started, strict=True))


def _cpu_s(servers: Mapping[str, Server]) -> Callable[[], float]:
    return lambda: sum(server.cpu_s() for server in servers.values())
