"""P24: scoring a catalogue, against the offline replay of the same products in the same run."""

import csv
import hashlib
import os
import signal
import subprocess
import sys
import time
from dataclasses import dataclass
from pathlib import Path

from benchmarks import materials
from benchmarks.machine import ALL, pinned
from benchmarks.outcome import Check, Outcome
from benchmarks.timing import ms_per_item
from inference.simulation.offline import OfflineModels
from inference.simulation.unseen import UnseenProduct

ROWS = {"": 100_000, "full": 1_000_000}
"""Products by the variable SIZE."""
REPLAYED = 20_000
KILLS = 10
PART = 4
"""Part of the rows of a smaller run, which has two shards at least."""
MIN_SHARE = 0.9
MAX_GROWTH = 1.1
HOURS_OF_1E9 = 1e9 / 3600
LAYOUT = "products: [offers.csv]\ncolumns: {id: id, designation: title, description: text, category: none}\n"


@dataclass(frozen=True)
class Run:
    """One run of `make score`, its workers included."""

    cpu_s: float
    wall_s: float
    memory_mb: float
    """Largest resident memory of one process."""


def measure(folder: Path) -> Outcome:
    """Score two sizes with one and two workers, replay the same products, and kill a run ten times."""
    rows = ROWS[os.environ.get("SIZE", "")]
    few, many = _write(folder / "few", rows // PART), _write(folder / "many", rows)
    with pinned(ALL):
        replay_ms = _replay_ms()
        small, one, two = (
            _score(source, folder / name, jobs)
            for source, name, jobs in ((few, "small", 1), (many, "one", 1), (many, "two", 2))
        )
        started = _score(few, folder / "started", 2)
        kills = _kill_often(many, folder / "killed")
    ms, ms_of_two = (
        1000 * (run.cpu_s - base.cpu_s) / (rows - rows // PART) for run, base in ((one, small), (two, started))
    )
    same = float(_digest(folder / "one.parquet") == _digest(folder / "killed.parquet"))
    return Outcome(
        ours=f"{1000 / ms:,.0f} rows per second and core; 1e9 rows: {ms / 1000 * HOURS_OF_1E9:,.0f} core hours",
        peer=f"offline replay: {1000 / replay_ms:,.0f} per second and core",
        ratio=replay_ms / ms,
        checks=[
            Check("rows per second and core of the offline replay's", replay_ms / ms, "×", "≥", MIN_SHARE),
            Check(
                "memory of a worker, over that at a quarter of the rows",
                one.memory_mb / small.memory_mb,
                "×",
                "≤",
                MAX_GROWTH,
            ),
            Check("CPU per row with two workers, over that with one", ms_of_two / ms, "×", "≤", MAX_GROWTH),
            Check(f"result after {kills} kills is that without", same, "", "≥", 1),
        ],
        details=[
            {
                "what": name,
                "rows": count,
                "CPU s": round(run.cpu_s, 1),
                "wall s": round(run.wall_s, 1),
                "MiB": round(run.memory_mb),
            }
            for name, count, run in (
                ("one worker, a quarter", rows // PART, small),
                ("one worker", rows, one),
                ("two workers", rows, two),
            )
        ],
        note="Titles and descriptions from CSV to Parquet. CPU per row is that between the two sizes, so that loading"
        " the models is left out on both sides; reading and writing are in ours only.",
    )


def _write(folder: Path, count: int) -> Path:
    folder.mkdir(parents=True)
    (folder / "catalogue.yaml").write_text(LAYOUT, encoding="utf-8")
    with (folder / "offers.csv").open("w", newline="", encoding="utf-8") as file:
        writer = csv.writer(file)
        writer.writerow(("id", "title", "text"))
        for first in range(0, count, REPLAYED):
            made = materials.products(min(REPLAYED, count - first), first)
            writer.writerows((first + at, one.title, one.description) for at, one in enumerate(made))
    return folder


def _replay_ms() -> float:
    models = OfflineModels(materials.release())
    products = [
        UnseenProduct(at, one.title, one.description, "", one.label, image_sha256="", half="a")
        for at, one in enumerate(materials.products(REPLAYED))
    ]
    models.predict(products[:1000], {})
    return ms_per_item(lambda: models.predict(products, {}), REPLAYED)


def _start(source: Path, result: Path, jobs: int) -> "subprocess.Popen[bytes]":
    options = ["--source", str(source), "--result", str(result.with_suffix(".parquet")), "--jobs", str(jobs)]
    command = [sys.executable, "-m", "pipelines", "score", *options, "--release", str(materials.release())]
    return subprocess.Popen(command, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)  # noqa: S603


def _score(source: Path, result: Path, jobs: int) -> Run:
    began = time.perf_counter()
    process = _start(source, result, jobs)
    _, status, used = os.wait4(process.pid, 0)  # usage of this process and of its workers
    process.returncode = os.waitstatus_to_exitcode(status)
    if process.returncode:
        raise subprocess.CalledProcessError(process.returncode, process.args)
    return Run(used.ru_utime + used.ru_stime, time.perf_counter() - began, used.ru_maxrss / 1024)


def _kill_often(source: Path, result: Path) -> int:
    """Kill runs after their first input, after the plan, and after each shard; return the number of kills.

    A last run is not killed.
    """
    job = result.with_name(f"{result.name}.parquet.job")
    kills = 0
    while kills < KILLS and not result.with_suffix(".parquet").exists():
        written = "input" if kills == 0 else "receipts" if (job / "job.json").exists() else ""
        before = len(list((job / written).glob("*")))
        process = _start(source, result, 1)
        while process.poll() is None and len(list((job / written).glob("*"))) <= before:
            time.sleep(0.01)
        if process.poll() is None:
            process.send_signal(signal.SIGKILL)
            kills += 1
        process.wait()
    _score(source, result, 1)
    return kills


def _digest(path: Path) -> str:
    with path.open("rb") as file:
        return hashlib.file_digest(file, "sha256").hexdigest()
