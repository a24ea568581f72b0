"""Where peers live: one virtual environment each, from `peers/<name>.txt`, made once."""

import hashlib
import shutil
import subprocess
import sys
from pathlib import Path

PEERS = Path(__file__).parent / "peers"
KEPT = Path("build/bench")
"""What is made once and used by every row: environments, models, payloads."""


def python_of(name: str) -> Path:
    """Return the interpreter of a peer's environment, made if it is not there or its list has changed."""
    wanted = PEERS / f"{name}.txt"
    folder = KEPT.resolve() / "peers" / name
    marker = folder / hashlib.sha256(wanted.read_bytes()).hexdigest()[:16]
    python = folder / "bin" / "python"
    if not marker.exists():
        shutil.rmtree(folder, ignore_errors=True)
        _call(sys.executable, "-m", "venv", "--without-pip", str(folder))
        uv = shutil.which("uv", path=str(Path(sys.executable).parent)) or "uv"
        options = ["--quiet", "--compile-bytecode", "--python", str(python)]
        _call(uv, "pip", "install", *options, "--requirement", str(wanted))
        marker.touch()
    return python


def _call(*command: str) -> None:
    subprocess.run(command, check=True)  # noqa: S603 - our own commands
