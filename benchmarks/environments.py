"""Virtual environments of the peers, one per `peers/<name>.txt`, created once."""

import hashlib
import shutil
import subprocess
import sys
from pathlib import Path

PEERS = Path(__file__).parent / "peers"
CACHE = Path("build/bench")
"""Cache shared by all rows: environments, models, payloads."""


def python_of(name: str) -> Path:
    """Return the interpreter of a peer's environment; (re)create it when its requirements changed."""
    wanted = PEERS / f"{name}.txt"
    folder = CACHE.resolve() / "peers" / name
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
    subprocess.run(command, check=True)  # noqa: S603 - a fixed commands
