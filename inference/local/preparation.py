"""What has to be there before the services start: accounts and a release."""

import os
import signal
import subprocess
import sys

from inference.local.settings import Settings
from product_classifier.errors import ProductClassifierError
from product_classifier.observability import get_logger

log = get_logger()


class NotPrepared(ProductClassifierError):
    """A preparing command failed; it has said why."""


def prepare(settings: Settings) -> None:
    """Make what is missing; nothing is made twice."""
    _call(settings, "inference.auth_proxy", "accounts", "--file", str(settings.accounts))
    if not (settings.releases / "champion").is_file():
        log.info("training", reason="there is no release yet")
        _call(settings, "pipelines", "train")


def _call(settings: Settings, module: str, *words: str) -> None:
    state_dir = str(settings.state_dir.resolve())
    environment = os.environ | {"AUTH_PROXY_STATE_DIR": state_dir, "STATE_DIR": state_dir}
    command = (sys.executable, "-m", module, *words)
    with subprocess.Popen(command, env=environment) as process:  # noqa: S603 - our own modules
        try:
            status = process.wait()
        except KeyboardInterrupt:
            process.send_signal(signal.SIGINT)
            process.wait()
            raise
    if status:
        raise NotPrepared(f"{' '.join(('python', *command[1:]))} ended with status {status}")
