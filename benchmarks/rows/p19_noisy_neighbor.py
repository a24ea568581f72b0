"""P19: a good client's p99 and degraded responses while another user sends the worst requests."""

import asyncio
import json
import subprocess
import sys
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import uvloop

from benchmarks import materials, payloads
from benchmarks.attacks import ATTACKS
from benchmarks.compare import median_and_range, median_of
from benchmarks.load import ConnectionPool, Load, open_loop, poisson
from benchmarks.machine import ALL
from benchmarks.outcome import Check, Outcome
from benchmarks.stack import running_product, token_of

MAX_RATIO = 2.0
RATE = 20.0
"""Products per second of the good client: a tenth of what two cores serve."""
SECONDS = 10.0
QUIET_S = 5.0
LEAD_S = 2.0
"""Seconds from the start of an attack to the first request of the good client."""
PRODUCTS = 600


@dataclass(frozen=True)
class GoodClient:
    """What a good client got during one attack, or without one."""

    load: Load
    degraded: int

    @property
    def p99_ms(self) -> float:
        """99th percentile of the latency of 2xx responses."""
        return self.load.percentile_ms(99)

    @property
    def failed(self) -> int:
        """Requests without a 2xx response."""
        return len(self.load.statuses) - self.load.answered


def measure(folder: Path) -> Outcome:
    """Run each attack beside a good client, and the good client alone before each."""
    samples = list(zip(materials.products(PRODUCTS), materials.photos(PRODUCTS), strict=True))
    with running_product(folder, ALL, {"AUTH_PROXY_RATE_LIMIT": "200/second"}) as ours:
        requests = [payloads.predict(one, photo, ours.token) for one, photo in samples]
        attacker = token_of(ours.servers["auth-proxy"].url, folder / "accounts.json", "demo-reviewer")
        _serve(ours.port, requests, QUIET_S)
        quiet, found, details = list[GoodClient](), dict[str, GoodClient](), list[dict[str, Any]]()
        for name in ATTACKS:
            quiet.append(_serve(ours.port, requests, QUIET_S))
            before_mb = ours.memory_mb()
            command = [sys.executable, "-m", "benchmarks.attacks", name, str(ours.port), str(SECONDS + LEAD_S)]
            with subprocess.Popen(command, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True) as process:  # noqa: S603
                if process.stdin is None or process.stdout is None:
                    raise OSError("the attack has no pipes")
                process.stdin.write(f"{attacker}\n")
                process.stdin.flush()
                found[name] = _serve(ours.port, requests, SECONDS, LEAD_S)
                statuses = json.loads(process.stdout.read() or "{}")
            details.append(
                _row(name, found[name], quiet[-1])
                | {
                    "memory MB before and after": f"{before_mb:.0f} → {ours.memory_mb():.0f}",
                    "statuses of the attacker": statuses,
                }
            )
    alone_ms = median_of([one.p99_ms for one in quiet])
    worst = max(found, key=lambda name: found[name].p99_ms)
    return Outcome(
        ours=f"p99 {found[worst].p99_ms:.0f} ms in the worst attack ({worst}), {alone_ms:.0f} ms without",
        peer="without: the same client alone",
        ratio=None,
        checks=[
            Check("p99 in the worst attack, of that without", found[worst].p99_ms / alone_ms, "", "≤", MAX_RATIO),
            Check("degraded responses", sum(one.degraded for one in found.values()), "", "≤", 0),
            Check("requests of the good client that failed", sum(one.failed for one in found.values()), "", "≤", 0),
        ],
        details=[
            {"what": "without an attack", "p99 ms": median_and_range([one.p99_ms for one in quiet]), "p99, ratio": "1"},
            *details,
        ],
        note=f"{RATE:g} products with photos per second; the attacker has another account and 8 requests in progress.",
    )


def _serve(port: int, requests: Sequence[bytes], seconds: float, lead_s: float = 0.0) -> GoodClient:
    """Send products at random times and count degraded responses."""
    degraded = 0

    async def run() -> Load:
        pool = ConnectionPool("127.0.0.1", port)

        async def send(number: int) -> int:
            nonlocal degraded
            response = await pool.send(requests[number % len(requests)])
            degraded += b'"degraded":true' in response.body
            return response.status

        await asyncio.sleep(lead_s)
        try:
            return await open_loop(send, poisson(RATE, seconds, 19))
        finally:
            pool.close()

    with asyncio.Runner(loop_factory=uvloop.new_event_loop) as runner:
        return GoodClient(runner.run(run()), degraded)


def _row(name: str, good: GoodClient, alone: GoodClient) -> dict[str, Any]:
    return {
        "what": name,
        "p50 ms": round(good.load.percentile_ms(50), 1),
        "p99 ms": round(good.p99_ms, 1),
        "p99, ratio": round(good.p99_ms / alone.p99_ms, 2),
        "degraded": f"{good.degraded} of {len(good.load.statuses)}",
        "failed": good.failed,
    }
