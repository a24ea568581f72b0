"""P4: `/predict` with text and photo, the whole product on all cores, against the stock wiring of the same models."""

from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from pathlib import Path

from benchmarks import capacity, materials, payloads
from benchmarks.capacity import Capacity
from benchmarks.compare import in_turns, middle, spread
from benchmarks.environments import PEERS, python_of
from benchmarks.load import closed
from benchmarks.machine import ALL
from benchmarks.outcome import Check, Outcome
from benchmarks.processes import Server, start, stopping
from benchmarks.stack import free_ports, product

P99_MS = 100.0
GOAL = 130.0
TIMES = 2.0
ROUNDS = 2
PHOTOS = 1200
"""Enough for a run of load without a photo the store has already."""


def measure(folder: Path) -> Outcome:
    """Search the highest rate of either with p99 within the bound."""
    asked = list(zip(materials.products(PHOTOS), materials.photos(PHOTOS), strict=True))
    with product(folder, ALL) as ours, stock(folder) as peer:
        mine = [payloads.predict(one, photo, ours.token) for one, photo in asked]
        theirs = [payloads.v1_product("fusion", one, photo) for one, photo in asked]
        found = in_turns(
            {
                "ours": lambda: capacity.search(ours.port, mine, P99_MS, ours.cpu_s, 4),
                "stock": lambda: capacity.search(peer["fusion"].port, theirs, P99_MS, _cpu_s(peer), 4),
            },
            ROUNDS,
        )
        memory = {"ours": ours.memory_mb(), "stock": sum(server.memory_mb() for server in peer.values())}
        shares = ours.by_service(lambda: closed(ours.port, mine, capacity.AT_ONCE, capacity.WARM_UP_S))
    rate = {name: middle([one.rate for one in rounds]) for name, rounds in found.items()}
    times = rate["ours"] / rate["stock"] if rate["stock"] else float("inf")
    return Outcome(
        ours=f"{rate['ours']:.0f}/s",
        peer=f"stock KServe wiring: {rate['stock']:.0f}/s",
        ratio=times,
        checks=[
            Check(f"requests per second with p99 ≤ {P99_MS:g} ms", rate["ours"], "/s", "≥", GOAL),
            Check("times the peer's", times, "×", "≥", TIMES),
        ],
        details=[describe(name, rounds, memory[name]) for name, rounds in found.items()],
        profile=[f"{name}: {cpu} ms CPU per request" for name, cpu in shares.items()],
        series={name: rounds[-1].tried for name, rounds in found.items()},
    )


def describe(name: str, rounds: Sequence[Capacity], memory_mb: float) -> Mapping[str, object]:
    """Return one line of a table about capacity."""
    return {
        "what": name,
        "rate with p99 in bounds": spread([one.rate for one in rounds]),
        "p99 ms there": spread([one.p99_ms for one in rounds]),
        "peak of a closed loop": spread([one.peak for one in rounds]),
        "CPU ms per request": spread([one.cpu_ms for one in rounds]),
        "memory MiB": round(memory_mb),
    }


@contextmanager
def stock(folder: Path) -> Iterator[Mapping[str, Server]]:
    """Run the product as the SDK's samples wire it."""
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
