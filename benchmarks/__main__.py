"""Measure benchmark rows and write JSON results; a run of all rows also writes the tables."""

import argparse
import json
import os
import shutil
import sys
import tempfile
import time
import traceback
from collections.abc import Sequence
from datetime import UTC, datetime
from importlib import import_module
from pathlib import Path
from typing import Any

from benchmarks import machine, report
from benchmarks.environments import CACHE
from benchmarks.table import ROWS

RESULTS = Path(__file__).parent / "results"


def main(argv: Sequence[str]) -> int:
    """Measure rows; return the number of rows that failed."""
    parser = argparse.ArgumentParser(prog="python -m benchmarks", description=__doc__)
    parser.add_argument("rows", nargs="*", metavar="ROW", help=f"of {', '.join(ROWS)}; all by default")
    parser.add_argument("--tables", action="store_true", help="rewrite the tables from the stored results")
    given = parser.parse_args(argv)
    if unknown := [row for row in given.rows if row not in ROWS]:
        parser.error(f"no such row: {', '.join(unknown)}; there are {', '.join(ROWS)}")
    if given.tables:
        report.write(RESULTS)
        return 0
    return _measure(given.rows or list(ROWS), whole=not given.rows)


def _measure(rows: Sequence[str], *, whole: bool) -> int:
    about = machine.describe() | {"started": datetime.now(UTC).isoformat(timespec="minutes"), "commit": _commit()}
    results = RESULTS if whole else CACHE / "results"
    failed = 0
    with machine.pinned(machine.ALL), tempfile.TemporaryDirectory(prefix="bench-") as folder:
        # Deleted after the last row: ext4 allocates inodes slowly right after thousands of deletions.
        for row in rows:
            sys.stderr.write(f"{row}: {ROWS[row].metric} … ")
            sys.stderr.flush()
            found = _one(row, Path(folder) / row)
            failed += "error" in found
            _write(results / f"{row}.json", {"row": row, "machine": about, **found})
            sys.stderr.write(f"{found['seconds']:.0f} s\n{report.verdict(row, found)}\n")
    if whole:
        report.write(RESULTS)
    return failed


def _one(row: str, folder: Path) -> dict[str, Any]:
    began = time.perf_counter()
    folder.mkdir()
    try:
        measure = import_module(f"benchmarks.rows.{ROWS[row].module}").measure
        with machine.pinned(machine.GENERATOR):
            outcome = measure(folder).to_json()
    except Exception as error:  # noqa: BLE001 - the other rows must still run
        logs = CACHE / "logs" / row
        shutil.rmtree(logs, ignore_errors=True)
        shutil.copytree(folder, logs, ignore=lambda _, names: [name for name in names if not name.endswith(".log")])
        outcome = {"error": f"{type(error).__name__}: {error}", "at": traceback.format_exc(limit=-3)}
    return {"command": f"make bench ROW={row}", "seconds": time.perf_counter() - began, **outcome}


def _write(path: Path, result: dict[str, Any]) -> None:
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text(json.dumps(result, indent=1, ensure_ascii=False, default=float) + "\n", encoding="utf-8")


def _commit() -> str:
    head = os.popen("git describe --always --dirty 2>/dev/null").read().strip()  # noqa: S605, S607 - a fixed command
    return head or "unknown"


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
