"""Description of the machine and core pinning."""

import os
import platform
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import Any

CORES: Sequence[int] = sorted(os.sched_getaffinity(0))
SERVER = CORES[:1]
"""Core of the server under test."""
GENERATOR = CORES[-1:]
"""Core of the load generator."""
ALL = CORES


@contextmanager
def pinned(cores: Sequence[int]) -> Iterator[None]:
    """Pin this process, and the children it starts in the block, to some cores."""
    before = os.sched_getaffinity(0)
    os.sched_setaffinity(0, cores)
    try:
        yield
    finally:
        os.sched_setaffinity(0, before)


def describe() -> dict[str, Any]:
    """Return what is needed to compare figures of two machines."""
    memory_kb = next(line for line in Path("/proc/meminfo").read_text().splitlines() if line.startswith("MemTotal"))
    return {
        "processor": _processor(),
        "cores": len(CORES),
        "memory_gb": round(int(memory_kb.split()[1]) / 2**20, 1),
        "system": f"{platform.system()} {platform.release()}",
        "python": platform.python_version(),
        "load_before": round(os.getloadavg()[0], 2),
    }


def _processor() -> str:
    for line in Path("/proc/cpuinfo").read_text().splitlines():
        if line.startswith("model name"):
            return line.partition(":")[2].strip()
    return platform.machine()
