"""Run `make run` on a pseudo-terminal."""

import os
import pty
import re
import select
import shutil
import signal
import sys
import threading
import time
from pathlib import Path

REPOSITORY = Path(__file__).parents[2]


class MakeRun:
    """A `make run` in this checkout and environment, with a separate state folder and port."""

    def __init__(self, state_dir: Path, port: int, *, target: str = "run", **variables: str) -> None:
        self.state_dir = state_dir
        self.port = port
        self.url = f"http://127.0.0.1:{port}"
        self.output = ""
        self._ended = False
        self._status: int | None = None
        assignments = {
            "PORT": str(port),
            "STATE_DIR": str(state_dir),
            "PY": sys.executable,
            "INSTALLED": "",
        } | variables
        make = shutil.which("make") or "make"
        self._child, self._terminal = pty.fork()
        if self._child == 0:
            os.chdir(REPOSITORY)
            os.execv(make, ["make", "--no-print-directory", target, *(f"{k}={v}" for k, v in assignments.items())])
        self._changed = threading.Condition()
        threading.Thread(target=self._read, daemon=True).start()

    def wait_for(self, pattern: str, within_s: float = 120) -> re.Match[str]:
        with self._changed:
            self._changed.wait_for(lambda: re.search(pattern, self.output) or self._ended, within_s)
        found = re.search(pattern, self.output)
        assert found, f"{pattern!r} not in:\n{self.output}"
        return found

    def press_ctrl_c(self) -> None:
        if not self._ended:
            os.write(self._terminal, b"\x03")

    def wait(self, within_s: float = 60) -> int:
        until = time.monotonic() + within_s
        while self._status is None and time.monotonic() < until:
            ended, status = os.waitpid(self._child, os.WNOHANG)
            if ended:
                self._status = os.waitstatus_to_exitcode(status)
            time.sleep(0.05)
        if self._status is not None:
            return self._status
        os.kill(self._child, signal.SIGKILL)
        raise AssertionError(f"still running:\n{self.output[-5000:]}")

    def _read(self) -> None:
        while True:
            try:
                select.select([self._terminal], [], [])
                data = os.read(self._terminal, 65536)
            except OSError:
                data = b""
            with self._changed:
                self.output += data.decode(errors="replace").replace("\r\n", "\n")
                self._ended = not data
                self._changed.notify_all()
            if not data:
                return
