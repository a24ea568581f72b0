"""P20: compaction of prediction records into the prediction log."""

import os
import subprocess
import sys
import time
import uuid
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path

from benchmarks import materials
from benchmarks.machine import ALL, pinned
from benchmarks.outcome import Check, Outcome
from product_classifier.feedback.records import (
    CategoryProbability,
    Modalities,
    PredictionRecord,
    ProductContent,
    new_id,
)

ROWS = {"": 100_000, "full": 1_000_000}
"""Predictions by the variable SIZE."""
PART = 4
"""Part of the predictions of a smaller run."""
MILLION = 1_000_000
MAX_MINUTES = 10.0
MAX_MEMORY_MB = 2048.0
MAX_GROWTH = 1.2
DAY = datetime(2026, 3, 1, tzinfo=UTC)
PROGRAM = (
    "import sys; from product_classifier.feedback.prediction_log.compaction import Compactor; "
    "from product_classifier.store import open_store; Compactor(open_store(sys.argv[1])).run()"
)


@dataclass(frozen=True)
class Run:
    """One compaction."""

    predictions: int
    wall_s: float
    cpu_s: float
    memory_mb: float


def measure(folder: Path) -> Outcome:
    """Compact two sizes, and the larger one again, when nothing is new."""
    count = ROWS[os.environ.get("SIZE", "")]
    few, many = _write(folder / "few", count // PART), _write(folder / "many", count)
    with pinned(ALL):
        small, large, again = _compact(few, count // PART), _compact(many, count), _compact(many, 0)
    us, us_of_few = (1e6 * run.cpu_s / run.predictions for run in (large, small))
    minutes = large.wall_s / large.predictions * MILLION / 60
    return Outcome(
        ours=f"{us:.0f} µs of CPU per prediction; 1,000,000 in {minutes:.1f} min",
        peer="—",
        ratio=1.0,
        checks=[
            Check("1,000,000 predictions", minutes, "min", "≤", MAX_MINUTES),
            Check("memory", large.memory_mb, "MiB", "≤", MAX_MEMORY_MB),
            Check("CPU per prediction, over that at a quarter", us / us_of_few, "×", "≤", MAX_GROWTH),
        ],
        details=[
            {
                "what": what,
                "predictions": run.predictions,
                "CPU s": round(run.cpu_s, 1),
                "wall s": round(run.wall_s, 1),
                "MiB": round(run.memory_mb),
            }
            for what, run in (("a quarter", small), ("all", large), ("again, nothing new", again))
        ],
        note="Records of one day in a folder; each is read, validated and written to Parquet.",
    )


def _write(folder: Path, count: int) -> Path:
    """Write records as the store would, without its syncs."""
    day = folder / "predictions" / f"dt={DAY.date().isoformat()}"
    day.mkdir(parents=True)
    (folder / ".store" / "unfinished").mkdir(parents=True)
    top = tuple(CategoryProbability(code=str(code), probability=0.2) for code in (10, 40, 50, 60, 1140))
    made = materials.products(min(count, 20_000))
    record = PredictionRecord(
        prediction_id=new_id(DAY),
        created=DAY,
        user="demo-user",
        product=ProductContent(designation="x"),
        code="10",
        confidence=0.9,
        decision="accept",
        top=top,
        modalities=Modalities(text=top[0], image=top[1]),
        degraded=False,
        release="r-20260101T000000-0123abcd",
    )
    first = uuid.UUID(new_id(DAY)).int
    for number in range(count):
        one = made[number % len(made)]
        product = ProductContent(designation=one.title, description=one.description, image_sha256=f"{number:064x}")
        identifier = str(uuid.UUID(int=first + number))
        written = record.model_copy(update={"prediction_id": identifier, "product": product})
        (day / f"{identifier}.json").write_bytes(written.to_json())
    return folder


def _compact(folder: Path, new: int) -> Run:
    began = time.perf_counter()
    command = [sys.executable, "-c", PROGRAM, folder.as_uri()]
    process = subprocess.Popen(command)  # noqa: S603
    _, status, used = os.wait4(process.pid, 0)
    process.returncode = os.waitstatus_to_exitcode(status)
    if process.returncode:
        raise subprocess.CalledProcessError(process.returncode, process.args)
    return Run(new, time.perf_counter() - began, used.ru_utime + used.ru_stime, used.ru_maxrss / 1024)
