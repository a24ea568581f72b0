"""Checks before anything is started: one run per state folder, and every port free."""

import fcntl
import socket
from collections.abc import Iterable, Iterator
from contextlib import contextmanager, suppress
from pathlib import Path

import psutil

from operations.local.service_table import HOST, Service
from product_classifier.errors import ProductClassifierError
from product_classifier.store.folders import protect_state_folder

COMMAND_CHARACTERS = 120


class ResourceInUse(ProductClassifierError):
    """Another process uses the state folder or a port; the message names it."""


@contextmanager
def lock_state_dir(state_dir: Path, owner: str) -> Iterator[None]:
    """Hold the lock of a state folder.

    Args:
        state_dir: Created if it is missing, and made readable by its owner only.
        owner: Description of this run, which a second run quotes in its error.

    Raises:
        ResourceInUse: If another run holds the lock.
    """
    protect_state_folder(state_dir)
    with (state_dir / "local.lock").open("a+", encoding="utf-8") as file:
        try:
            fcntl.flock(file, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError as error:
            file.seek(0)
            raise ResourceInUse(
                f"{state_dir} is in use by another run ({file.read().strip()}); stop that run first"
            ) from error
        file.truncate(0)
        file.write(f"{owner}\n")
        file.flush()
        yield


def check_ports(services: Iterable[Service]) -> None:
    """Raise `ResourceInUse` with every port that another process listens on, and with that process."""
    used = [
        f"{port} ({service.name} {protocol}){_user(port)}"
        for service in services
        for protocol, port in service.ports.items()
        if not _is_free(port)
    ]
    if used:
        raise ResourceInUse(f"port in use: {', '.join(used)}; free it, or choose others: make run PORT=9080")


def _user(port: int) -> str:
    """Return which process listens on a port, as far as this user may know it."""
    with suppress(psutil.Error):
        for connection in psutil.net_connections("tcp"):
            if connection.laddr and connection.laddr.port == port and connection.pid and not connection.raddr:
                command = " ".join(psutil.Process(connection.pid).cmdline())
                return f" by process {connection.pid}, {command[:COMMAND_CHARACTERS]!r}"
    return ""


def _is_free(port: int) -> bool:
    with socket.socket() as probe:
        probe.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        try:
            probe.bind((HOST, port))
        except OSError:
            return False
        return True
