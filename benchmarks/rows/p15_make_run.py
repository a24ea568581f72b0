"""P15: `make run` from nothing but an installed environment to the first prediction; what steps cost per product."""

import os
import re
import resource
import subprocess
import sys
import time
from collections.abc import Mapping, Sequence
from pathlib import Path

from benchmarks import materials, payloads
from benchmarks.load import answers
from benchmarks.machine import ALL, pinned
from benchmarks.outcome import Check, Outcome
from benchmarks.processes import DidNotStart, start, stopping
from benchmarks.stack import free_ports, token_of

GOAL_S = 60.0
FLAT = 1.2
"""How much more a product of the largest catalogue may cost than one of the smallest."""
SIZES = (1000, 4000, 12_000)
GIVE_UP_S = 300.0
STEP = re.compile(r"✓ ([a-z-]+) +([0-9.]+) s")
"""How the run tells on a terminal, and in its log, what a step took."""


def measure(folder: Path) -> Outcome:
    """Start the product on the sample; then run the data steps and the text training on catalogues of several sizes."""
    with pinned(ALL):
        first_s, steps_s = _first_prediction(folder / "run")
        costs = {size: _steps(folder / str(size), size) for size in SIZES}
    steps = list(costs[SIZES[0]])
    growth = {step: costs[SIZES[-1]][step] / costs[SIZES[0]][step] for step in steps}
    worst = max(steps, key=growth.__getitem__)
    return Outcome(
        ours=f"{first_s:.0f} s; the step that grows most costs {growth[worst]:.2f}× per product ({worst})",
        peer="–",
        ratio=None,
        checks=[
            Check("seconds to the first prediction", first_s, "s", "≤", GOAL_S),
            Check(f"CPU per product at {SIZES[-1]:,} against {SIZES[0]:,}, worst step", growth[worst], "×", "≤", FLAT),
        ],
        details=[
            {"what": step, **{f"CPU ms per product of {size:,}": round(costs[size][step], 3) for size in SIZES}}
            for step in steps
        ],
        series={step: [(size, costs[size][step]) for size in SIZES] for step in steps},
        profile=steps_s,
        note="A step's start-up is in its figures. The text model alone is trained on 85,000 products in P10.",
    )


def _first_prediction(folder: Path) -> tuple[float, Sequence[str]]:
    """Return seconds from the command to a prediction, and what the steps took of them."""
    folder.mkdir(parents=True)
    port = free_ports()
    environment = {
        "PORT": str(port),
        "STATE_DIR": str(folder / "state"),
        "DATA_DIR": str(folder / "data"),
        "LOG_FORMAT": "json",
    }
    began = time.perf_counter()
    server = start("make-run", [sys.executable, "-m", "inference.local"], port, folder, ALL, environment)
    with stopping([server]):
        server.wait("/readyz", GIVE_UP_S)
        token = token_of(server.url, folder / "state" / "accounts.json")
        (answer,) = answers(port, [payloads.predict(materials.products(1)[0], None, token)])
        if answer.status != 200:
            raise DidNotStart(f"/predict answered {answer.status}: {answer.body[:200]!r}")
        took_s = time.perf_counter() - began
    return took_s, [f"{seconds} s {step}" for step, seconds in STEP.findall(server.log.read_text(errors="replace"))]


def _steps(folder: Path, size: int) -> Mapping[str, float]:
    """Return CPU milliseconds per product of every step."""
    folder.mkdir(parents=True)
    raw, catalogue, splits = folder / "raw", folder / "catalogue.parquet", folder / "splits"
    splits.mkdir()
    sides = {side: splits / f"{side}.parquet" for side in ("train", "validation", "test", "unseen")}
    options: Mapping[str, Mapping[str, object]] = {
        "make_sample": {"folder": raw, "products": size},
        "prepare_catalogue": {
            "raw": raw,
            "catalogue": catalogue,
            "rejects": folder / "rejects.csv",
            "report": folder / "catalogue.json",
        },
        "split_catalogue": {"catalogue": catalogue, "report": folder / "splits.json", **sides},
        "train_text": {"train": sides["train"], "validation": sides["validation"], "model": folder / "text"},
    }
    return {step: _cpu_s(step, given) * 1000 / size for step, given in options.items()}


def _cpu_s(step: str, options: Mapping[str, object]) -> float:
    words: Sequence[str] = [word for name, value in options.items() for word in (f"--{name}", str(value))]
    before = resource.getrusage(resource.RUSAGE_CHILDREN)
    command = [sys.executable, "-m", "components", step, *words]
    subprocess.run(command, check=True, env=os.environ | {"PYTHONWARNINGS": "ignore"}, capture_output=True)  # noqa: S603
    after = resource.getrusage(resource.RUSAGE_CHILDREN)
    return after.ru_utime + after.ru_stime - before.ru_utime - before.ru_stime
