"""P22: size of a fresh installation of the default path, without encoders."""

import os
import subprocess
import time
from pathlib import Path

from benchmarks.machine import ALL, pinned
from benchmarks.outcome import Check, Outcome

GOAL_GB = 2.2
LARGEST = 12
INPUTS = (
    "Makefile",
    "README.md",
    "pyproject.toml",
    "requirements.lock",
    "requirements-encoders.lock",
    "requirements-packaged-encoders.lock",
    "src",
)


def measure(folder: Path) -> Outcome:
    """Install into an empty folder; the packages may come from the cache of the installer."""
    for name in INPUTS:
        (folder / name).symlink_to(Path(name).resolve())
    began = time.perf_counter()
    environment = {name: value for name, value in os.environ.items() if not name.startswith(("MAKE", "MFLAGS"))}
    with pinned(ALL):
        done = subprocess.run(
            ["make", ".venv/installed", "ENCODERS="],  # noqa: S607 - make of the machine
            cwd=folder,
            env=environment,
            check=True,
            stdout=subprocess.PIPE,
            text=True,
        )
    elapsed_s = time.perf_counter() - began
    packages = folder / ".venv/lib/python3.11/site-packages"
    sizes = {path.name: _size(path) for path in packages.iterdir()}
    total_gb = _size(folder / ".venv") / 1e9
    return Outcome(
        ours=f"{total_gb:.2f} GB, {elapsed_s:.0f} s",
        peer="with PyTorch, version 0.1: 6.8 GB, 256 s",
        ratio=6.8 / total_gb,
        checks=[Check("size on disk", total_gb, "GB", "≤", GOAL_GB)],
        profile=[
            f"{sizes[name] / 1e6:.0f} MB {name}"
            for name in sorted(sizes, key=sizes.__getitem__, reverse=True)[:LARGEST]
        ],
        note=f"Shown meanwhile: {'; '.join(line for line in done.stdout.splitlines() if line)}",
    )


def _size(path: Path) -> int:
    """Return the bytes a file or folder takes on disk."""
    paths = [path, *path.rglob("*")] if path.is_dir() and not path.is_symlink() else [path]
    return sum(one.lstat().st_blocks * 512 for one in paths)
