"""Start the pipeline under a name: here in a process on this machine, in `job_launcher` and `kfp_launcher` elsewhere.

Each is a `product_classifier.retraining.launcher.Launcher`; the trigger does not know which one it has.
"""

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

from product_classifier.errors import LauncherUnavailable
from product_classifier.retraining.launcher import Execution

START_TIMEOUT_S = 30.0
STOP_TIMEOUT_S = 10.0
LOOK_EVERY_S = 0.05
NICENESS = 5
"""A run shares the machine with the servers, and they come first."""
Command = Callable[[str, str], Sequence[str]]


def train_command(run_id: str, snapshot: str) -> list[str]:
    """Return how a run is started on this machine."""
    return [sys.executable, "-m", "pipelines", "train", *run_words(run_id, snapshot)]


def run_words(run_id: str, snapshot: str) -> list[str]:
    """Return the options of `pipelines train` that make it this run."""
    given = {"run_id": run_id, "snapshot": snapshot}
    return [word for name, value in given.items() for word in ("--set", f"{name}={json.dumps(value)}")]


class LocalLauncher:
    """Starts each run in a process of its own, which outlives the trigger.

    A run's folder says everything: `lock` is held while anything of it lives, `started` exists from its beginning,
    `exit.json` from its end. The process itself takes the lock and creates `started`, so that of two processes
    started for one run exactly one does it.
    """

    def __init__(self, folder: Path, command: Command = train_command) -> None:
        self._folder = folder
        self._command = command

    def find(self, run_id: str) -> Execution | None:
        """Return how far the run is, from its folder."""
        folder = self._folder / run_id
        if not (folder / "started").exists():
            return None
        for _ in range(2):  # it may end between the two looks
            if (found := _exit_of(folder)) is not None:
                return found
            if _is_locked(folder):
                return Execution.ACTIVE
        return Execution.FAILED

    def start(self, run_id: str, snapshot: str) -> None:
        """Start the process and wait until the run is its own."""
        folder = self._folder / run_id
        try:
            folder.mkdir(parents=True, exist_ok=True)
            with (folder / "log").open("ab") as log:
                child = subprocess.Popen(  # noqa: S603 - our own command
                    [
                        sys.executable,
                        "-m",
                        "pipelines.retrain.launchers",
                        str(folder),
                        *self._command(run_id, snapshot),
                    ],
                    stdin=subprocess.DEVNULL,
                    stdout=log,
                    stderr=log,
                    start_new_session=True,
                )
        except OSError as error:
            raise LauncherUnavailable(f"run {run_id!r} cannot be started: {error}") from error
        if not _until(lambda: (folder / "started").exists() or child.poll() is not None, START_TIMEOUT_S):
            raise LauncherUnavailable(f"run {run_id!r} did not begin within {START_TIMEOUT_S:.0f} s")

    def stop(self, run_id: str) -> None:
        """Ask the run's processes to end, then make them."""
        started = self._folder / run_id / "started"
        if not started.exists() or self.find(run_id) is not Execution.ACTIVE:
            return
        group = int(started.read_text())
        for number in (signal.SIGTERM, signal.SIGKILL):
            with suppress(ProcessLookupError):
                os.killpg(group, number)
            if _until(lambda: not _is_locked(started.parent), STOP_TIMEOUT_S):
                return

    def stop_all(self) -> None:
        """End every run, when this machine's product is stopped."""
        for started in self._folder.glob("*/started"):
            self.stop(started.parent.name)


def main(folder: Path, command: Sequence[str]) -> int:
    """Be a run: once, under its lock, leaving its exit status."""
    with _lock(folder) as descriptor:
        if descriptor is None:
            return 0
        try:
            with (folder / "started").open("x") as started:
                started.write(str(os.getpid()))
        except FileExistsError:
            return 0
        os.nice(NICENESS)
        signal.signal(signal.SIGTERM, lambda *_: None)  # the group gets it: wait for the child's own answer
        # The child holds the lock too, so that the run counts as active until the last of its processes is gone.
        code = subprocess.call(list(command), pass_fds=[descriptor])  # noqa: S603 - our own command
        unfinished = folder / "exit.json.new"
        unfinished.write_text(json.dumps({"code": code}))
        unfinished.replace(folder / "exit.json")
    return code


def _exit_of(folder: Path) -> Execution | None:
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
    """Hold the folder's lock; None when another process does."""
    with (folder / "lock").open("a") as file:
        try:
            fcntl.flock(file, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            yield None
            return
        yield file.fileno()


def _until(condition: Callable[[], bool], seconds: float) -> bool:
    end = monotonic() + seconds
    while not condition():
        if monotonic() > end:
            return False
        sleep(LOOK_EVERY_S)
    return True


if __name__ == "__main__":
    sys.exit(main(Path(sys.argv[1]), sys.argv[2:]))
