"""HTTP server that rejects ambiguous, oversized and slow requests before the application runs."""

import asyncio
import socket
import threading
from functools import partial
from typing import Any

import orjson
import uvicorn
from prometheus_client import CollectorRegistry, make_asgi_app
from starlette.types import ASGIApp

from inference.auth_proxy.settings import Settings
from inference.compat.connection_limits import ConnectionLimits, process_limits
from inference.compat.draining import DrainingServer
from inference.compat.uvicorn import HttpProtocol, limited_protocol
from inference.http.problems import MEDIA_TYPE, Problem

MAX_HEAD_BYTES = 32_768
MAX_PARSED_HEADERS = 1000
"""Headers that are parsed before a request is refused; one read can hold 60,000."""
METRICS_CONNECTIONS = 32


class AmbiguousRequest(Exception):
    """A request with two meanings; raised inside the parser, which makes it a 400."""


class TooManyHeaders(Exception):
    """A request with more headers than are parsed; raised inside the parser, which stops."""


class GuardedProtocol(HttpProtocol):
    """uvicorn's HTTP/1.1 with limits on time and size of the headers, without lenient parsing."""

    header_timeout_s = 5.0

    def __init__(self, *args: Any, **kwargs: Any) -> None:
        super().__init__(*args, **kwargs)
        self._in_head = True
        self._head_bytes = 0
        self._head_timer: asyncio.TimerHandle | None = None

    def connection_made(self, transport: asyncio.Transport) -> None:  # type: ignore[override]
        super().connection_made(transport)
        if not self.transport.is_closing():
            self._start_timer()

    def connection_lost(self, exc: Exception | None) -> None:
        self._stop_timer()
        super().connection_lost(exc)

    def data_received(self, data: bytes) -> None:
        if self._in_head and not self.transport.is_closing():
            self._head_bytes += len(data)
        super().data_received(data)
        if self._in_head and self._head_bytes > MAX_HEAD_BYTES and not self.transport.is_closing():
            self._reject(431, f"headers: have more than {MAX_HEAD_BYTES} bytes")

    def on_message_begin(self) -> None:
        super().on_message_begin()
        self._in_head = True
        self._head_bytes = 0
        if self._head_timer is None:
            self._start_timer()

    def on_header(self, name: bytes, value: bytes) -> None:
        if not self._in_head:
            raise AmbiguousRequest("a trailer")  # uvicorn adds it to the headers
        if len(self.headers) >= MAX_PARSED_HEADERS:
            raise TooManyHeaders
        super().on_header(name, value)

    def on_headers_complete(self) -> None:
        self._stop_timer()
        self._in_head = False
        if not self.url.startswith(b"/"):
            raise AmbiguousRequest("the target is not a path")
        version = self.parser.get_http_version()
        if version != "1.1" and (version != "1.0" or any(name == b"transfer-encoding" for name, _ in self.headers)):
            raise AmbiguousRequest("the HTTP version is not 1.0 or 1.1, or has no chunked transfer")
        super().on_headers_complete()

    def refuse_request(self, reason: str) -> None:
        if self._in_head and self.headers is not None and len(self.headers) >= MAX_PARSED_HEADERS:
            self._reject(431, f"headers: more than {MAX_PARSED_HEADERS} of them")
        else:
            self._reject(400, reason)

    def refuse_connection(self, reason: str) -> None:
        problem = Problem(503, f"connection: {reason}", kind="overloaded")
        self.respond_and_close(503, MEDIA_TYPE, orjson.dumps(problem.document("")), {"retry-after": "1"})

    def _start_timer(self) -> None:
        self._head_timer = self.loop.call_later(self.header_timeout_s, self._time_out)

    def _stop_timer(self) -> None:
        if self._head_timer is not None:
            self._head_timer.cancel()
            self._head_timer = None

    def _time_out(self) -> None:
        if not self.transport.is_closing():
            self._reject(408, f"headers: did not arrive within {self.header_timeout_s:g} s")

    def _reject(self, status: int, detail: str) -> None:
        self._stop_timer()
        self.respond_and_close(status, MEDIA_TYPE, orjson.dumps(Problem(status, detail).document("")))


def make_server(app: ASGIApp, settings: Settings) -> uvicorn.Server:
    """Return the server of an application; `run(sockets=[…])` starts it."""
    limits = process_limits(settings.max_connections_per_address, map(str, settings.trusted_proxies))
    protocol = limited_protocol(limits, GuardedProtocol, header_timeout_s=settings.header_timeout_s)
    return DrainingServer(
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


def serve_metrics(registry: CollectorRegistry, listener: socket.socket) -> None:
    """Serve Prometheus metrics from a thread, with few connections: idle ones cost descriptors."""
    config = uvicorn.Config(
        make_asgi_app(registry),
        http=limited_protocol(ConnectionLimits(METRICS_CONNECTIONS)),
        ws="none",
        lifespan="off",
        log_config=None,
        access_log=False,
        server_header=False,
    )
    run = partial(uvicorn.Server(config).run, sockets=[listener])
    threading.Thread(target=run, name="metrics", daemon=True).start()


def listen(host: str, port: int) -> socket.socket:
    """Return a listening socket; raise OSError if the address cannot be bound."""
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
