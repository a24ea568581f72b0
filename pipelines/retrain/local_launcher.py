"""Start each run in a process of this machine."""

import fcntl
import json
import os
import signal
import subprocess
import sys
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager, suppress
from pathlib import Path
from time import monotonic, sleep

from pipelines.parameters import run_options
from product_classifier.errors import LauncherUnavailable
from product_classifier.retraining.launcher import Execution

START_TIMEOUT_S = 30.0
STOP_TIMEOUT_S = 10.0
POLL_S = 0.05
NICENESS = 5
"""Scheduling priority of a run, below that of the servers on the same machine."""

Command = Callable[[str, str], Sequence[str]]
"""Returns the command of a run for its id and snapshot."""


def train_command(run_id: str, snapshot: str) -> list[str]:
    """Return the command that trains on this machine."""
    return [sys.executable, "-m", "pipelines", "train", *run_options(run_id, snapshot)]


class LocalLauncher:
    """Starts each run in a process that outlives the trigger.

    The state of a run is in its folder: `lock` is held while any of its processes lives, `started` exists from its
    start, `exit.json` from its end. The process itself takes the lock and creates `started`, so of two processes
    started for one run exactly one executes it.
    """

    def __init__(self, folder: Path, command: Command = train_command) -> None:
        self._folder = folder
        self._command = command

    def find(self, run_id: str) -> Execution | None:
        """Return the state of the run, None if it was never started."""
        folder = self._folder / run_id
        if not (folder / "started").exists():
            return None
        for _ in range(2):  # the run may end between the two reads
            if (found := _exit_state(folder)) is not None:
                return found
            if _is_locked(folder):
                return Execution.ACTIVE
        return Execution.FAILED

    def start(self, run_id: str, snapshot: str) -> None:
        """Start the process and wait until it executes the run, or has ended because another one does."""
        folder = self._folder / run_id
        try:
            folder.mkdir(parents=True, exist_ok=True)
            with (folder / "log").open("ab") as log:
                child = subprocess.Popen(  # noqa: S603 - a command of this package
                    [sys.executable, "-m", __name__, str(folder), *self._command(run_id, snapshot)],
                    stdin=subprocess.DEVNULL,
                    stdout=log,
                    stderr=log,
                    start_new_session=True,
                )
        except OSError as error:
            raise LauncherUnavailable(f"run {run_id!r}: its process cannot be started: {error}") from error
        if not _wait_until(lambda: (folder / "started").exists() or child.poll() is not None, START_TIMEOUT_S):
            raise LauncherUnavailable(f"run {run_id!r}: its process did not start within {START_TIMEOUT_S:.0f} s")

    def pending_reason(self, run_id: str) -> str:  # noqa: ARG002 - the interface
        """Return "": a process starts at once."""
        return ""

    def stop(self, run_id: str) -> None:
        """Terminate the processes of the run; kill them if they do not end in time."""
        started = self._folder / run_id / "started"
        if not started.exists() or self.find(run_id) is not Execution.ACTIVE:
            return
        group = int(started.read_text())
        for number in (signal.SIGTERM, signal.SIGKILL):
            with suppress(ProcessLookupError):
                os.killpg(group, number)
            if _wait_until(lambda: not _is_locked(started.parent), STOP_TIMEOUT_S):
                return

    def stop_all(self) -> None:
        """Stop every active run."""
        for started in self._folder.glob("*/started"):
            self.stop(started.parent.name)


def main(folder: Path, command: Sequence[str]) -> int:
    """Execute a run once, under its lock, and write its exit status; return it."""
    with _lock(folder) as descriptor:
        if descriptor is None:
            return 0
        try:
            with (folder / "started").open("x") as started:
                started.write(str(os.getpid()))
        except FileExistsError:
            return 0
        os.nice(NICENESS)
        signal.signal(signal.SIGTERM, lambda *_: None)  # the whole group gets it; this process waits for its child
        # The child inherits the lock: the run stays active until the last of its processes has ended.
        code = subprocess.call(list(command), pass_fds=[descriptor])  # noqa: S603 - a command of this package
        unfinished = folder / "exit.json.new"
        unfinished.write_text(json.dumps({"code": code}))
        unfinished.replace(folder / "exit.json")
    return code


def _exit_state(folder: Path) -> Execution | None:
    try:
        code = json.loads((folder / "exit.json").read_text())["code"]
    except FileNotFoundError:
        return None
    return Execution.SUCCEEDED if code == 0 else Execution.FAILED


def _is_locked(folder: Path) -> bool:
    with _lock(folder) as descriptor:
        return descriptor is None


@contextmanager
def _lock(folder: Path) -> Iterator[int | None]:
    """Hold the lock of the folder and yield its descriptor; yield None if another process holds it."""
    with (folder / "lock").open("a") as file:
        try:
            fcntl.flock(file, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            yield None
            return
        yield file.fileno()


def _wait_until(condition: Callable[[], bool], timeout_s: float) -> bool:
    """Return True as soon as the condition holds, False after the timeout."""
    end = monotonic() + timeout_s
    while not condition():
        if monotonic() > end:
            return False
        sleep(POLL_S)
    return True


if __name__ == "__main__":
    sys.exit(main(Path(sys.argv[1]), sys.argv[2:]))
