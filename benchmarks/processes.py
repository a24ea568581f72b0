"""Start servers as pinned processes, wait for readiness, read their CPU and memory, stop them."""

import os
import subprocess
import time
import urllib.error
import urllib.request
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path

import psutil

from benchmarks.machine import pinned

READY_TIMEOUT_S = 120.0
STOP_TIMEOUT_S = 20.0


class ServerNotReady(Exception):
    """Raised when a server exits or is not ready in time; the message has the end of its log."""


@dataclass(frozen=True)
class Server:
    """A running server process and its children."""

    name: str
    port: int
    log: Path
    process: subprocess.Popen[bytes] = field(repr=False)

    @property
    def url(self) -> str:
        """Base URL of the server."""
        return f"http://127.0.0.1:{self.port}"

    def cpu_s(self) -> float:
        """Return the CPU seconds used by the process tree."""
        return tree_cpu_s(self.process.pid)

    def memory_mb(self) -> float:
        """Return the proportional set size (PSS) of the process tree in MiB."""
        return float(sum(one.memory_full_info().pss for one in _tree(self.process.pid))) / 2**20

    def wait(self, path: str, seconds: float = READY_TIMEOUT_S) -> None:
        """Wait until GET `path` returns 200; raise `ServerNotReady` after `seconds`."""
        until = time.monotonic() + seconds
        while time.monotonic() < until and self.process.poll() is None:
            if _is_ready(self.url + path):
                return
            time.sleep(0.02)
        raise ServerNotReady(f"{self.name} is not ready; end of {self.log}:\n{self.log.read_text()[-2000:]}")

    def stop(self) -> None:
        """Terminate the process tree; kill it after `STOP_TIMEOUT_S`."""
        children = _tree(self.process.pid)
        self.process.terminate()
        try:
            self.process.wait(STOP_TIMEOUT_S)
        except subprocess.TimeoutExpired:
            self.process.kill()
            self.process.wait()
        for child in children:
            if child.is_running() and child.pid != self.process.pid:
                child.kill()


def tree_cpu_s(pid: int | None = None) -> float:
    """Return the CPU seconds used by a process tree, by default of this process."""
    return float(sum(sum(one.cpu_times()[:2]) for one in _tree(pid)))


def start(
    name: str,
    command: Sequence[str],
    port: int,
    folder: Path,
    cores: Sequence[int],
    environment: Mapping[str, str] | None = None,
) -> Server:
    """Start a server without waiting for readiness."""
    log = folder / f"{name}-{port}.log"
    with log.open("wb") as out, pinned(cores):
        process = subprocess.Popen(  # noqa: S603 - a fixed command
            command, env=os.environ | dict(environment or {}), stdout=out, stderr=out, stdin=subprocess.DEVNULL
        )
    return Server(name, port, log, process)


def _tree(pid: int | None) -> list[psutil.Process]:
    try:
        root = psutil.Process(pid)
        return [root, *root.children(recursive=True)]
    except psutil.NoSuchProcess:
        return []


@contextmanager
def stopping(servers: Sequence[Server]) -> Iterator[Sequence[Server]]:
    """Stop the servers when the block ends, in reverse order."""
    try:
        yield servers
    finally:
        for server in reversed(servers):
            server.stop()


def _is_ready(url: str) -> bool:
    try:
        with urllib.request.urlopen(url, timeout=2) as reply:  # noqa: S310 - a local server
            return bool(reply.status == 200)
    except (urllib.error.URLError, OSError):
        return False
