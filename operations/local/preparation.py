"""What has to be there before anybody can be answered: accounts, and a release, which a first training makes."""

import os
import signal
import subprocess
import sys
from collections.abc import Iterator
from contextlib import contextmanager

from operations.local.settings import Settings
from product_classifier.errors import ProductClassifierError
from product_classifier.observability import get_logger

_INTERRUPTED = (128 + signal.SIGINT, -signal.SIGINT)

log = get_logger()


class NotPrepared(ProductClassifierError):
    """A preparing command failed; it has said why."""


class Training:
    """The training of the first release; over from the beginning where there is a release."""

    def __init__(self, process: "subprocess.Popen[bytes] | None" = None) -> None:
        self._process = process

    @property
    def over(self) -> bool:
        return self._process is None or self._process.poll() is not None

    @property
    def interrupted(self) -> bool:
        """Whether it was told to end, or should be now."""
        return not self.over or (self._process is not None and self._process.returncode in _INTERRUPTED)

    def wait(self) -> None:
        """Return when it is over; raise `NotPrepared` if it failed."""
        if self._process is not None and (status := self._process.wait()):
            raise NotPrepared(f"{_words(self._process)} ended with status {status}")

    def stop(self) -> None:
        """End it if it still runs, and its steps with it."""
        if self._process is not None and not self.over:
            self._process.terminate()
            self._process.wait()


def make_accounts(settings: Settings) -> None:
    """Make the demo accounts, once."""
    with _started(settings, "inference.auth_proxy", "accounts", "--file", str(settings.accounts)) as process:
        try:
            status = process.wait()
        except KeyboardInterrupt:
            process.send_signal(signal.SIGINT)
            raise
    if status:
        raise NotPrepared(f"{_words(process)} ended with status {status}")


@contextmanager
def first_training(settings: Settings) -> Iterator[Training]:
    """Train while the caller does other things, unless there is a release; whatever still runs at the end is ended."""
    if (settings.releases / "champion").is_file():
        yield Training()
        return
    log.info("training", reason="there is no release yet")
    with _started(settings, "pipelines", "train") as process:
        training = Training(process)
        try:
            yield training
        finally:
            training.stop()


def _started(settings: Settings, module: str, *words: str) -> "subprocess.Popen[bytes]":
    state_dir = str(settings.state_dir.resolve())
    environment = os.environ | {"AUTH_PROXY_STATE_DIR": state_dir, "STATE_DIR": state_dir}
    return subprocess.Popen((sys.executable, "-m", module, *words), env=environment)  # noqa: S603 - our own modules


def _words(process: "subprocess.Popen[bytes]") -> str:
    _, *words = process.args  # type: ignore[misc]
    return " ".join(("python", *map(str, words)))
