"""A TCP proxy before an object store that makes it ill."""

import socket
import struct
import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from typing import Literal, get_args

Illness = Literal[
    "well",
    "away",
    "resets",
    "silent",
    "slow",
    "answers 503",
    "answers 507",
    "answers 500",
    "loses replies",
    "resets mid-write",
    "garbage",
]
ILLNESSES: tuple[Illness, ...] = get_args(Illness)[1:]
ERRORS = {
    "answers 503": (503, "SlowDown"),
    "answers 507": (507, "XMinioStorageFull"),
    "answers 500": (500, "InternalError"),
}
RESET = struct.pack("ii", 1, 0)
"""SO_LINGER that makes close() send RST."""
SLOW_S = 1.5


class FaultProxy:
    """Forwards to `target`; `illness` may be changed at any time and is looked at anew for each piece of data."""

    def __init__(self, target: tuple[str, int]) -> None:
        self._target = target
        self._listener = socket.create_server(("127.0.0.1", 0))
        self._open: list[socket.socket] = []
        self.illness: Illness = "well"
        self.injected = 0
        self.url = "http://{}:{}".format(*self._listener.getsockname())

    def fall_ill(self, illness: Illness) -> None:
        """Change, and break the connections there are."""
        self.illness = illness
        self._break()

    def serve(self) -> None:
        while True:
            try:
                client, _ = self._listener.accept()
            except OSError:
                return
            threading.Thread(target=self._handle, args=(client,), daemon=True).start()

    def close(self) -> None:
        self._listener.close()
        self._break()

    def _break(self) -> None:
        for connection in self._open:
            with suppress(OSError):
                connection.shutdown(socket.SHUT_RDWR)
        self._open.clear()

    def _handle(self, client: socket.socket) -> None:
        if self.illness in {"away", "resets"}:
            self._end(client, reset=self.illness == "resets")
            return
        with suppress(OSError), client, socket.create_connection(self._target) as server:
            self._open += [client, server]
            back = threading.Thread(target=self._replies, args=(server, client), daemon=True)
            back.start()
            try:
                while data := client.recv(65536):
                    if not self._requests(data, client, server):
                        return
            finally:  # closing alone says nothing to the server while another thread reads from it
                server.shutdown(socket.SHUT_RDWR)

    def _requests(self, data: bytes, client: socket.socket, server: socket.socket) -> bool:
        """Pass on what the client sent; False ends the connection."""
        illness = self.illness
        if illness in ERRORS:
            self.injected += 1
            status, code = ERRORS[illness]
            body = f"<?xml version='1.0'?><Error><Code>{code}</Code><Message>ill</Message></Error>".encode()
            head = f"HTTP/1.1 {status} ill\r\ncontent-type: application/xml\r\ncontent-length: {len(body)}\r\n"
            client.sendall(f"{head}connection: close\r\n\r\n".encode() + body)
            return False
        if illness == "garbage":
            self.injected += 1
            client.sendall(b"\x00\xff not HTTP at all\r\n\r\n")
            return False
        if illness == "resets mid-write":
            server.sendall(data[: len(data) // 2])
            self._end(client, reset=True)
            return False
        if illness == "silent":
            self.injected += 1
            return True
        if illness == "slow":
            self.injected += 1
            time.sleep(SLOW_S)
        server.sendall(data)
        return True

    def _replies(self, server: socket.socket, client: socket.socket) -> None:
        with suppress(OSError):
            while data := server.recv(65536):
                if self.illness == "loses replies":
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
    """Stand before the server at this URL."""
    host, _, port = url.removeprefix("http://").partition(":")
    proxy = FaultProxy((host, int(port)))
    threading.Thread(target=proxy.serve, daemon=True).start()
    try:
        yield proxy
    finally:
        proxy.close()
