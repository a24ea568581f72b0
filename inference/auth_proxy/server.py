"""The HTTP server's own part of the defence: what must be refused before there is a request to look at."""

import asyncio
import socket
from typing import Any

import orjson
import uvicorn
from starlette.types import ASGIApp

from inference.auth_proxy.settings import Settings
from inference.compat.uvicorn import HttpProtocol
from inference.http.problems import MEDIA_TYPE, Problem

MAX_HEAD_BYTES = 32_768
MAX_SURPLUS_BYTES = 64_000_000
"""What a client may go on sending after it was answered, before the line is cut: less would hide the answer from it."""


class Unreadable(Exception):
    """A request that has two readings; raised inside the parser, answered 400."""


class GuardedProtocol(HttpProtocol):
    """uvicorn's HTTP/1.1 with a clock and a measure on headers, and none of the parser's leniencies we can see."""

    header_timeout_s = 5.0

    def __init__(self, *args: Any, **kwargs: Any) -> None:
        super().__init__(*args, **kwargs)
        self._in_head = True
        self._head_bytes = 0
        self._surplus_bytes = 0
        self._head_clock: asyncio.TimerHandle | None = None

    def connection_made(self, transport: asyncio.Transport) -> None:  # type: ignore[override]
        super().connection_made(transport)
        self._start_clock()

    def connection_lost(self, exc: Exception | None) -> None:
        self._stop_clock()
        super().connection_lost(exc)

    def data_received(self, data: bytes) -> None:
        if self.transport.is_closing():
            return
        if self._in_head:
            self._head_bytes += len(data)
        super().data_received(data)
        if self._in_head and self._head_bytes > MAX_HEAD_BYTES and not self.transport.is_closing():
            self._refuse(431, f"the headers are longer than {MAX_HEAD_BYTES} bytes")

    def on_message_begin(self) -> None:
        super().on_message_begin()
        self._in_head = True
        self._head_bytes = 0
        self._surplus_bytes = 0
        if self._head_clock is None:
            self._start_clock()

    def on_header(self, name: bytes, value: bytes) -> None:
        if not self._in_head:
            raise Unreadable("a trailer")  # uvicorn would mix it with the headers
        super().on_header(name, value)

    def on_headers_complete(self) -> None:
        self._stop_clock()
        self._in_head = False
        if not self.url.startswith(b"/") or self.parser.should_upgrade():
            raise Unreadable("a target that is no path, or another protocol")
        version = self.parser.get_http_version()
        if version != "1.1" and (version != "1.0" or any(name == b"transfer-encoding" for name, _ in self.headers)):
            raise Unreadable("another version, or chunks in one that has none")
        super().on_headers_complete()

    def on_body(self, body: bytes) -> None:
        super().on_body(body)
        if self.response_complete:
            self._surplus_bytes += len(body)
            if self._surplus_bytes > MAX_SURPLUS_BYTES:
                self.transport.close()

    def send_400_response(self, msg: str) -> None:  # noqa: ARG002 - the parser's own words stay here
        self._refuse(400, "this is not one HTTP request")

    def _start_clock(self) -> None:
        self._head_clock = self.loop.call_later(self.header_timeout_s, self._too_slow)

    def _stop_clock(self) -> None:
        if self._head_clock is not None:
            self._head_clock.cancel()
            self._head_clock = None

    def _too_slow(self) -> None:
        if not self.transport.is_closing():
            self._refuse(408, f"the headers did not arrive within {self.header_timeout_s:g} s")

    def _refuse(self, status: int, detail: str) -> None:
        """Answer and hang up; in the middle of an answer to an earlier request only hang up."""
        self._stop_clock()
        self.respond_and_close(status, MEDIA_TYPE, orjson.dumps(Problem(status, detail).document("")))


def make_server(app: ASGIApp, settings: Settings) -> uvicorn.Server:
    """Return the server, ready to run on a socket."""
    protocol = type("Protocol", (GuardedProtocol,), {"header_timeout_s": settings.header_timeout_s})
    return uvicorn.Server(
        uvicorn.Config(
            app,
            http=protocol,
            ws="none",
            lifespan="on",
            log_config=None,
            access_log=False,
            server_header=False,
            proxy_headers=False,
            timeout_keep_alive=settings.keep_alive_s,
            timeout_graceful_shutdown=settings.shutdown_s,
        )
    )


def listen(host: str, port: int) -> socket.socket:
    """Return a listening socket; OSError says why not."""
    family = socket.AF_INET6 if ":" in host else socket.AF_INET
    listener = socket.socket(family, socket.SOCK_STREAM)
    listener.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
    try:
        listener.bind((host, port))
        listener.listen(2048)
    except OSError:
        listener.close()
        raise
    listener.set_inheritable(True)
    return listener
