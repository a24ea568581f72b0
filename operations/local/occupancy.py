"""One run per state folder, and every port free, found out before anything is started."""

import fcntl
import socket
from collections.abc import Iterable, Iterator
from contextlib import contextmanager
from pathlib import Path

from operations.local.services import HOST, Service
from product_classifier.errors import ProductClassifierError


class Occupied(ProductClassifierError):
    """Somebody else has the folder or a port; the message says who or which."""


@contextmanager
def only_run(state_dir: Path, said: str) -> Iterator[None]:
    """Hold the folder; whoever comes second is told `said` by the first."""
    state_dir.mkdir(parents=True, exist_ok=True)
    with (state_dir / "local.lock").open("a+", encoding="utf-8") as file:
        try:
            fcntl.flock(file, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError as error:
            file.seek(0)
            raise Occupied(
                f"{state_dir} is in use by another run ({file.read().strip()}); stop that one first"
            ) from error
        file.truncate(0)
        file.write(f"{said}\n")
        file.flush()
        yield


def check_ports(services: Iterable[Service]) -> None:
    """Raise `Occupied` naming every port somebody listens on."""
    taken = [
        f"{port} ({service.name} {what})"
        for service in services
        for what, port in service.ports.items()
        if not _is_free(port)
    ]
    if taken:
        raise Occupied(f"port in use: {', '.join(taken)}; free it, or choose others: make run PORT=9080")


def _is_free(port: int) -> bool:
    with socket.socket() as probe:
        probe.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        try:
            probe.bind((HOST, port))
        except OSError:
            return False
        return True
