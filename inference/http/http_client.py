"""HTTP/1.1 client for one server: pooled connections, whole bodies, no redirects.

A request of the fusion to a predictor costs a general client more CPU time than the predictor (`make bench ROW=P2`).
"""

import asyncio
import contextlib
import math
import ssl
import time
from collections.abc import Mapping
from dataclasses import dataclass
from typing import cast
from urllib.parse import urlsplit

import httptools

CONNECT_TIMEOUT_S = 1.0
RETRY_PAUSE_S = 0.05
"""Pause before a request is sent again: each new connection to a Kubernetes Service may reach another pod."""
MAX_RESPONSE_BYTES = 32_000_000


class TransportError(Exception):
    """The connection failed or broke, or the response is not HTTP."""


class _NoResponse(TransportError):
    """The connection was not made, or ended before the first byte of a response."""


@dataclass(frozen=True, slots=True)
class HttpResponse:
    """A response; header names are in lower case."""

    status: int
    headers: Mapping[bytes, bytes]
    body: bytes

    def header(self, name: str) -> str | None:
        """Return the value of a header, or None."""
        value = self.headers.get(name.lower().encode())
        return None if value is None else value.decode("latin-1")


class HttpClient:
    """A pool of at most `connections` connections to one `http(s)://host[:port]`; for one event loop.

    A connection that was idle for `idle_s` is not used again. A request to which no byte of a response arrives is sent
    again on new connections, for at most `retry_s`: pods that stop, or were killed, are in the endpoints of their
    Service for a moment. An outage that lasts longer than that is not waited for, nor a server that never responded.
    """

    def __init__(self, url: str, connections: int, idle_s: float, retry_s: float = 0.0) -> None:
        address = urlsplit(url)
        if address.scheme not in {"http", "https"} or not address.hostname:
            raise ValueError(f"{url!r} is not an http(s)://host[:port]")
        self._tls = ssl.create_default_context() if address.scheme == "https" else None
        self._host, self._port = address.hostname, address.port or (443 if self._tls else 80)
        self._head_rest = f" HTTP/1.1\r\nHost: {address.netloc}\r\n"
        self._idle_s = idle_s
        self._retry_s = retry_s
        self._failing_since: float | None = -math.inf
        """Time of the first failure after the last response; None after a response."""
        self._available = asyncio.Semaphore(connections)
        self._idle: list[Connection] = []

    async def request(self, method: str, target: str, headers: Mapping[str, str], body: bytes) -> HttpResponse:
        """Send a request and return the response; cancellation closes the connection.

        The request must be idempotent: it is sent again on a new connection if the server closed an idle one before
        responding, and as the class describes.

        Raises:
            TransportError: If there is no response.
        """
        fields = "".join(f"{name}: {value}\r\n" for name, value in headers.items())
        head = f"{method} {target}{self._head_rest}Content-Length: {len(body)}\r\n{fields}\r\n".encode("latin-1")
        async with self._available:
            if (connection := self._take_idle()) is not None:
                with contextlib.suppress(_NoResponse):
                    return await self._exchange(connection, head, body)
            started = time.monotonic()
            while True:
                try:
                    return await self._exchange(await self._connect(), head, body)
                except _NoResponse:
                    if not self._may_retry(started):
                        raise
                await asyncio.sleep(RETRY_PAUSE_S)

    def close(self) -> None:
        """Close the idle connections."""
        while self._idle:
            self._idle.pop().close()

    async def _exchange(self, connection: "Connection", head: bytes, body: bytes) -> HttpResponse:
        try:
            response = await connection.exchange(head, body)
        except BaseException:
            connection.close()  # a late response must not be read as that of another request
            raise
        self._failing_since = None
        if connection.is_open:
            self._idle.append(connection)
        return response

    def _may_retry(self, started: float) -> bool:
        """Return whether a request first sent at `started`, which got no response, is sent again."""
        now = time.monotonic()
        if self._failing_since is None:
            self._failing_since = now
        return now < min(started, self._failing_since) + self._retry_s

    def _take_idle(self) -> "Connection | None":
        """Return the connection used last, so that surplus connections expire."""
        oldest = time.monotonic() - self._idle_s
        while self._idle:
            connection = self._idle.pop()
            if connection.is_open and connection.last_used >= oldest:
                return connection
            connection.close()
        return None

    async def _connect(self) -> "Connection":
        try:
            async with asyncio.timeout(CONNECT_TIMEOUT_S):
                loop = asyncio.get_running_loop()
                _, connection = await loop.create_connection(Connection, self._host, self._port, ssl=self._tls)
        except TimeoutError as error:
            raise _NoResponse(f"no connection within {CONNECT_TIMEOUT_S:g} s") from error
        except OSError as error:
            raise _NoResponse(type(error).__name__) from error
        return connection


class Connection(asyncio.Protocol):
    """One connection; one request at a time."""

    def __init__(self) -> None:
        self.last_used = time.monotonic()
        self._transport: asyncio.Transport | None = None
        self._response: asyncio.Future[HttpResponse] | None = None
        self._reset()

    def _reset(self) -> None:
        self._parser = httptools.HttpResponseParser(self)
        self._headers: dict[bytes, bytes] = {}
        self._body: list[bytes] = []
        self._size = 0
        self._received = False

    @property
    def is_open(self) -> bool:
        """Whether another request can be sent."""
        return self._transport is not None and not self._transport.is_closing()

    async def exchange(self, head: bytes, body: bytes) -> HttpResponse:
        """Send a request and return its response."""
        if self._transport is None or self._transport.is_closing():
            raise _NoResponse("the connection was closed")
        self._response = asyncio.get_running_loop().create_future()
        self._transport.writelines((head, body) if body else (head,))
        try:
            return await self._response
        finally:
            self._response = None

    def close(self) -> None:
        """Close the connection."""
        if self._transport is not None:
            self._transport.close()

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        self._transport = cast("asyncio.Transport", transport)

    def connection_lost(self, exc: Exception | None) -> None:
        self._transport = None
        reason = type(exc).__name__ if exc else "the connection was closed"
        self._fail(TransportError(f"{reason} within a response") if self._received else _NoResponse(reason))

    def data_received(self, data: bytes) -> None:
        if self._response is None:  # no request was sent
            self.close()
            return
        self._received = True
        try:
            self._parser.feed_data(data)
        except httptools.HttpParserError:
            self._fail(TransportError("the response is not one HTTP response"))
            self.close()

    def on_header(self, name: bytes, value: bytes) -> None:
        self._headers[name.lower()] = value

    def on_body(self, body: bytes) -> None:
        self._size += len(body)
        if self._size > MAX_RESPONSE_BYTES:
            self._fail(TransportError(f"the response has more than {MAX_RESPONSE_BYTES} bytes"))
            self.close()
            return
        self._body.append(body)

    def on_message_complete(self) -> None:
        status, keep_alive = self._parser.get_status_code(), self._parser.should_keep_alive()
        body = self._body[0] if len(self._body) == 1 else b"".join(self._body)
        response = HttpResponse(status, self._headers, body)
        if not keep_alive:
            self.close()
        self._reset()
        self.last_used = time.monotonic()
        if self._response is not None and not self._response.done():
            self._response.set_result(response)

    def _fail(self, error: TransportError) -> None:
        if self._response is not None and not self._response.done():
            self._response.set_exception(error)
