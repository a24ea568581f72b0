"""P15: `make run` in an installed environment to the first prediction."""

import re
import sys
import time
from collections.abc import Sequence
from pathlib import Path

from benchmarks import materials, payloads
from benchmarks.load import send_each
from benchmarks.machine import ALL, pinned
from benchmarks.outcome import Check, Outcome
from benchmarks.processes import ServerNotReady, start, stopping
from benchmarks.stack import free_ports, token_of

GOAL_S = 60.0
START_TIMEOUT_S = 300.0
STEP = re.compile(r"✓ ([a-z-]+) +([0-9.]+) s")
"""Matches the progress line of a step."""


def measure(folder: Path) -> Outcome:
    """Start the product on the sample in an empty folder."""
    with pinned(ALL):
        first_s, steps_s = _first_prediction(folder)
    return Outcome(
        ours=f"{first_s:.0f} s",
        peer="–",
        ratio=None,
        checks=[Check("seconds to the first prediction", first_s, "s", "≤", GOAL_S)],
        profile=steps_s,
        note="The rest is sample generation, compilation and service start.",
    )


def _first_prediction(folder: Path) -> tuple[float, Sequence[str]]:
    """Return seconds from the command to the first prediction, and the duration of each step."""
    port = free_ports()
    environment = {
        "PORT": str(port),
        "STATE_DIR": str(folder / "state"),
        "DATA_DIR": str(folder / "data"),
        "LOG_FORMAT": "json",
    }
    began = time.perf_counter()
    server = start("make-run", [sys.executable, "-m", "operations.local"], port, folder, ALL, environment)
    with stopping([server]):
        server.wait("/readyz", START_TIMEOUT_S)
        token = token_of(server.url, folder / "state" / "accounts.json")
        (answer,) = send_each(port, [payloads.predict(materials.products(1)[0], None, token)])
        if answer.status != 200:
            raise ServerNotReady(f"/predict answered {answer.status}: {answer.body[:200]!r}")
        elapsed_s = time.perf_counter() - began
    return elapsed_s, [f"{seconds} s {step}" for step, seconds in STEP.findall(server.log.read_text(errors="replace"))]
