"""The commands a person would type, in the demonstration's own folder."""

import os
import shutil
import signal
import subprocess
import sys
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path

from operations.demo.settings import ELSEWHERE
from operations.local.occupancy import Occupied, check_ports
from operations.local.readiness import wait_until_ready
from operations.local.services import services
from operations.local.settings import Settings as LocalSettings
from product_classifier.errors import ProductClassifierError

FIRST_PORT, LAST_PORT, APART = 18_080, 30_000, 20
STOP_WITHIN_S = 60
MARKER = "demo"
SHOWN_LINES = 15


class StepMissing(ProductClassifierError):
    """A step of the loop did not happen."""


def fresh(folder: Path) -> None:
    """Empty the demonstration's folder; one that is something else is not touched."""
    if folder.exists() and any(folder.iterdir()):
        if not (folder / MARKER).is_file():
            raise StepMissing(f"{str(folder)!r} holds something that is not a demonstration; choose another DEMO_DIR")
        shutil.rmtree(folder)
    (folder / "logs").mkdir(parents=True)
    (folder / MARKER).touch()


def free_port() -> int:
    """Return a port from which on a local run has all it needs."""
    for port in range(FIRST_PORT, LAST_PORT, APART):
        try:
            check_ports(services(LocalSettings(port=port)))
        except Occupied:
            continue
        return port
    raise StepMissing(f"no ports are free between {FIRST_PORT} and {LAST_PORT}")


class Commands:
    """Runs our entry points; what they say is in `logs/` of the folder."""

    def __init__(self, folder: Path, environment: Mapping[str, str]) -> None:
        self._logs = folder / "logs"
        kept = {name: value for name, value in os.environ.items() if name not in ELSEWHERE}
        self._environment = kept | dict(environment) | {"PYTHONUNBUFFERED": "1"}

    def call(self, name: str, *words: str) -> None:
        """Run `python -m …` to its end; raise with its last words if it fails."""
        with self._started(name, *words) as process:
            status = process.wait()
        if status:
            raise StepMissing(f"`python -m {' '.join(words)}` ended with status {status}:\n{self._end_of(name)}")

    @contextmanager
    def serving(self, port: int) -> Iterator["Serving"]:
        """Serve while the block runs, then stop as Ctrl-C does."""
        with self._started("local", "operations.local") as process:
            serving = Serving(process)
            if not wait_until_ready(port, lambda: not serving.alive):
                raise StepMissing(f"the services do not start:\n{self._end_of('local')}")
            yield serving
            serving.stop()

    @contextmanager
    def _started(self, name: str, *words: str) -> Iterator[subprocess.Popen[bytes]]:
        with (
            (self._logs / f"{name}.log").open("wb") as log,
            subprocess.Popen(  # noqa: S603 - our own modules
                [sys.executable, "-m", *words],
                env=self._environment,
                stdin=subprocess.DEVNULL,  # nobody of them may take the terminal
                stdout=log,
                stderr=log,
            ) as process,
        ):
            try:
                yield process
            except BaseException:
                process.terminate()
                raise

    def _end_of(self, name: str) -> str:
        lines = (self._logs / f"{name}.log").read_text(encoding="utf-8", errors="replace").splitlines()
        return "\n".join(lines[-SHOWN_LINES:])


class Serving:
    """A local run in service."""

    def __init__(self, process: subprocess.Popen[bytes]) -> None:
        self._process = process

    @property
    def alive(self) -> bool:
        """Whether it still runs."""
        return self._process.poll() is None

    def stop(self) -> None:
        """Stop it as Ctrl-C does; raise when that is not clean."""
        self._process.send_signal(signal.SIGINT)
        try:
            status = self._process.wait(STOP_WITHIN_S)
        except subprocess.TimeoutExpired:
            self._process.kill()
            raise StepMissing(f"the services did not stop within {STOP_WITHIN_S} s") from None
        if status:
            raise StepMissing(f"the services stopped with status {status}")
