"""A TCP proxy in front of an object store that injects faults."""

import socket
import struct
import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from typing import Literal, get_args

Fault = Literal[
    "none",
    "closed connection",
    "reset connection",
    "no response",
    "slow",
    "status 503",
    "status 507",
    "status 500",
    "lost response",
    "reset during a write",
    "not HTTP",
]
FAULTS: tuple[Fault, ...] = get_args(Fault)[1:]
ERRORS = {
    "status 503": (503, "SlowDown"),
    "status 507": (507, "XMinioStorageFull"),
    "status 500": (500, "InternalError"),
}
RESET = struct.pack("ii", 1, 0)
"""SO_LINGER that makes close() send RST."""
DELAY_S = 1.5


class FaultProxy:
    """Forwards to `target`; the fault may be changed at any time and applies to the next piece of data."""

    def __init__(self, target: tuple[str, int]) -> None:
        self._target = target
        self._listener = socket.create_server(("127.0.0.1", 0))
        self._open: list[socket.socket] = []
        self._fault: Fault = "none"
        self.injected = 0
        self.url = "http://{}:{}".format(*self._listener.getsockname())

    def set_fault(self, fault: Fault) -> None:
        """Set the fault and close the open connections."""
        self._fault = fault
        self._close_connections()

    def serve(self) -> None:
        while True:
            try:
                client, _ = self._listener.accept()
            except OSError:
                return
            threading.Thread(target=self._handle, args=(client,), daemon=True).start()

    def close(self) -> None:
        self._listener.close()
        self._close_connections()

    def _close_connections(self) -> None:
        for connection in self._open:
            with suppress(OSError):
                connection.shutdown(socket.SHUT_RDWR)
        self._open.clear()

    def _handle(self, client: socket.socket) -> None:
        if self._fault in {"closed connection", "reset connection"}:
            self._end(client, reset=self._fault == "reset connection")
            return
        with suppress(OSError), client, socket.create_connection(self._target) as server:
            self._open += [client, server]
            threading.Thread(target=self._forward_responses, args=(server, client), daemon=True).start()
            try:
                while data := client.recv(65536):
                    if not self._forward_request(data, client, server):
                        return
            finally:  # while another thread reads from the server, close() alone sends nothing to it
                server.shutdown(socket.SHUT_RDWR)

    def _forward_request(self, data: bytes, client: socket.socket, server: socket.socket) -> bool:
        """Forward what the client sent; return whether the connection stays open."""
        fault = self._fault
        if fault in ERRORS:
            self.injected += 1
            status, code = ERRORS[fault]
            body = f"<?xml version='1.0'?><Error><Code>{code}</Code><Message>injected</Message></Error>".encode()
            head = f"HTTP/1.1 {status} injected\r\ncontent-type: application/xml\r\ncontent-length: {len(body)}\r\n"
            client.sendall(f"{head}connection: close\r\n\r\n".encode() + body)
            return False
        if fault == "not HTTP":
            self.injected += 1
            client.sendall(b"\x00\xff not HTTP at all\r\n\r\n")
            return False
        if fault == "reset during a write":
            server.sendall(data[: len(data) // 2])
            self._end(client, reset=True)
            return False
        if fault == "no response":
            self.injected += 1
            return True
        if fault == "slow":
            self.injected += 1
            time.sleep(DELAY_S)
        server.sendall(data)
        return True

    def _forward_responses(self, server: socket.socket, client: socket.socket) -> None:
        with suppress(OSError):
            while data := server.recv(65536):
                if self._fault == "lost response":
                    self._end(client, reset=False)
                    return
                client.sendall(data)

    def _end(self, client: socket.socket, *, reset: bool) -> None:
        self.injected += 1
        with suppress(OSError):
            if reset:
                client.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, RESET)
            client.close()


@contextmanager
def fault_proxy(url: str) -> Iterator[FaultProxy]:
    """Run a proxy in front of the server at this URL."""
    host, _, port = url.removeprefix("http://").partition(":")
    proxy = FaultProxy((host, int(port)))
    threading.Thread(target=proxy.serve, daemon=True).start()
    try:
        yield proxy
    finally:
        proxy.close()
