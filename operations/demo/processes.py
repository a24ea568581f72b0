"""Run the project's commands in the folder of the demo."""

import os
import shutil
import signal
import subprocess
import sys
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from functools import partial
from pathlib import Path

from operations.demo.settings import EXCLUDED_VARIABLES
from operations.local.preflight import ResourceInUse, check_ports
from operations.local.readiness import wait_until_ready
from operations.local.service_table import services
from operations.local.settings import Settings as LocalSettings
from product_classifier.errors import ProductClassifierError
from product_classifier.parent_process import terminate_with_parent
from product_classifier.store.folders import protect_state_folder

FIRST_PORT, LAST_PORT, PORTS_PER_RUN = 18_080, 30_000, 20
STOP_TIMEOUT_S = 60
MARKER = "demo"
QUOTED_LINES = 15


class DemoStepFailed(ProductClassifierError):
    """A step of the demo failed or did not happen in time."""


def reset_folder(folder: Path) -> None:
    """Delete the content of an earlier demo; raise `DemoStepFailed` if the folder contains anything else."""
    if folder.exists() and any(folder.iterdir()):
        if not (folder / MARKER).is_file():
            raise DemoStepFailed(f"{str(folder)!r} contains files of another origin; choose another DEMO_DIR")
        shutil.rmtree(folder)
    protect_state_folder(folder)
    (folder / "logs").mkdir()
    (folder / MARKER).touch()


def find_free_port() -> int:
    """Return a gateway port for which all ports of a local run are free."""
    for port in range(FIRST_PORT, LAST_PORT, PORTS_PER_RUN):
        try:
            check_ports(services(LocalSettings(port=port)))
        except ResourceInUse:
            continue
        return port
    raise DemoStepFailed(f"no free ports from {FIRST_PORT} to {LAST_PORT}; stop other local runs")


class ProcessRunner:
    """Runs `python -m` commands; their output goes to `logs/` of the folder."""

    def __init__(self, folder: Path, environment: Mapping[str, str]) -> None:
        self._logs = folder / "logs"
        inherited = {name: value for name, value in os.environ.items() if name not in EXCLUDED_VARIABLES}
        self._environment = inherited | dict(environment) | {"PYTHONUNBUFFERED": "1"}

    def run(self, name: str, *arguments: str) -> None:
        """Run a command to its end; raise `DemoStepFailed` with the end of its log if it fails."""
        with self._start(name, *arguments) as process:
            status = process.wait()
        if status:
            command = f"python -m {' '.join(arguments)}"
            raise DemoStepFailed(f"`{command}` ended with status {status}:\n{self._end_of_log(name)}")

    @contextmanager
    def serving(self, port: int) -> Iterator["RunningServices"]:
        """Run the services until the end of the block, then stop them with SIGINT."""
        with self._start("local", "operations.local") as process:
            running = RunningServices(process)
            if not wait_until_ready(port, lambda: not running.is_alive):
                raise DemoStepFailed(f"the services do not start:\n{self._end_of_log('local')}")
            yield running
            running.stop()

    @contextmanager
    def _start(self, name: str, *arguments: str) -> Iterator[subprocess.Popen[bytes]]:
        with (
            (self._logs / f"{name}.log").open("wb") as log,
            subprocess.Popen(  # noqa: S603 - our own modules
                [sys.executable, "-m", *arguments],
                env=self._environment,
                stdin=subprocess.DEVNULL,  # no child process may take the terminal
                stdout=log,
                stderr=log,
                preexec_fn=partial(terminate_with_parent, os.getpid()),  # noqa: PLW1509 - no other thread forks
            ) as process,
        ):
            try:
                yield process
            except BaseException:
                process.terminate()
                raise

    def _end_of_log(self, name: str) -> str:
        lines = (self._logs / f"{name}.log").read_text(encoding="utf-8", errors="replace").splitlines()
        return "\n".join(lines[-QUOTED_LINES:])


class RunningServices:
    """The process of a local run."""

    def __init__(self, process: subprocess.Popen[bytes]) -> None:
        self._process = process

    @property
    def is_alive(self) -> bool:
        """Whether the process runs."""
        return self._process.poll() is None

    def stop(self) -> None:
        """Send SIGINT and wait; raise `DemoStepFailed` on a timeout or another status than 0."""
        self._process.send_signal(signal.SIGINT)
        try:
            status = self._process.wait(STOP_TIMEOUT_S)
        except subprocess.TimeoutExpired:
            self._process.kill()
            raise DemoStepFailed(f"the services did not stop within {STOP_TIMEOUT_S} s") from None
        if status:
            raise DemoStepFailed(f"the services stopped with status {status}")
