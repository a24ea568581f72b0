"""Create what the services need: the demo accounts, and a release, imported or by a first training."""

import os
import signal
import sqlite3
import subprocess
import sys
from collections.abc import Iterator
from contextlib import closing, contextmanager
from functools import partial

from inference.auth_proxy.auth.demo_accounts import create_demo_accounts
from inference.auth_proxy.auth.users import USERS_FILE, UserStore
from inference.http.problems import Problem
from operations.local.catalogue_state import is_prepared
from operations.local.settings import Settings
from product_classifier.errors import ProductClassifierError
from product_classifier.observability import get_logger
from product_classifier.parent_process import terminate_with_parent

_INTERRUPTED = (128 + signal.SIGINT, -signal.SIGINT)

log = get_logger()


class PreparationFailed(ProductClassifierError):
    """A command that prepares the run failed; its own output has the reason."""


class TrainingProcess:
    """The training of the first release; without a process, because there is a release, it is finished."""

    def __init__(self, process: "subprocess.Popen[bytes] | None" = None) -> None:
        self._process = process

    @property
    def is_finished(self) -> bool:
        """Whether the process has exited."""
        return self._process is None or self._process.poll() is not None

    @property
    def is_interrupted(self) -> bool:
        """Whether it ended by Ctrl-C or still runs at the end of the run."""
        return not self.is_finished or (self._process is not None and self._process.returncode in _INTERRUPTED)

    def wait(self) -> None:
        """Wait for the exit; raise `PreparationFailed` if the status is not 0."""
        if self._process is not None and (status := self._process.wait()):
            raise PreparationFailed(_failure(self._process, status))

    def stop(self) -> None:
        """Terminate the process and its steps if it still runs."""
        if self._process is not None and not self.is_finished:
            self._process.terminate()
            self._process.wait()


def create_accounts(settings: Settings) -> None:
    """Create the demo accounts; existing ones are not changed."""
    try:
        with closing(UserStore(settings.state_dir.resolve() / USERS_FILE)) as users:
            create_demo_accounts(users, settings.accounts)
    except (ProductClassifierError, Problem, OSError, sqlite3.Error, ValueError) as error:
        raise PreparationFailed(f"the demo accounts cannot be created: {error}; check {settings.state_dir}") from error


@contextmanager
def first_training(settings: Settings) -> Iterator[TrainingProcess]:
    """Train in the background unless there is a release; terminate the training at the end of the block.

    With `settings.release`, import that release before the block instead.

    Raises:
        PreparationFailed: If it cannot be imported, or the data of RAW cannot be prepared.
    """
    if settings.release:
        _import(settings)
        yield TrainingProcess()
        return
    if (settings.releases / "champion").is_file():
        if not is_prepared(settings):  # a retraining and the simulation read the data folder
            _wait_for(settings, "pipelines", "data")
        yield TrainingProcess()
        return
    log.info("training_started", reason="there is no release")
    with _start(settings, "pipelines", "train") as process:
        training = TrainingProcess(process)
        try:
            yield training
        finally:
            training.stop()


def _import(settings: Settings) -> None:
    log.info("import_started", location=settings.release)
    _wait_for(settings, "pipelines", "import", settings.release)


def _wait_for(settings: Settings, module: str, *arguments: str) -> None:
    """Run a command to its end; raise `PreparationFailed` if it fails."""
    with _start(settings, module, *arguments) as process:
        command = TrainingProcess(process)
        try:
            command.wait()
        finally:
            command.stop()


def _start(settings: Settings, module: str, *arguments: str) -> "subprocess.Popen[bytes]":
    state_dir = str(settings.state_dir.resolve())
    environment = os.environ | {"AUTH_PROXY_STATE_DIR": state_dir, "STATE_DIR": state_dir}
    command = (sys.executable, "-m", module, *arguments)
    end_with_this = partial(terminate_with_parent, os.getpid())
    return subprocess.Popen(command, env=environment, preexec_fn=end_with_this)  # noqa: S603, PLW1509 - our own modules, no other thread yet


def _failure(process: "subprocess.Popen[bytes]", status: int) -> str:
    _, *arguments = process.args  # type: ignore[misc]
    return f"`{' '.join(('python', *map(str, arguments)))}` ended with status {status}; its output is above"
