"""HTTP/1.1 to one server of ours: kept connections, whole bodies, nothing else.

A question the fusion asks costs a general client more CPU than the server that answers it (`make bench ROW=P2`).
"""

import asyncio
import contextlib
import ssl
import time
from collections.abc import Mapping
from dataclasses import dataclass
from typing import cast
from urllib.parse import urlsplit

import httptools

CONNECT_S = 1.0
MAX_ANSWER = 32_000_000


class TransportError(Exception):
    """There is no connection, it broke, or what came back is no HTTP; the message says which."""


@dataclass(frozen=True, slots=True)
class Reply:
    """An answer; header names are in lower case."""

    status: int
    headers: Mapping[bytes, bytes]
    body: bytes

    def header(self, name: str) -> str | None:
        """Return the value of a header."""
        value = self.headers.get(name.lower().encode())
        return None if value is None else value.decode("latin-1")


class HttpClient:
    """A pool of connections to one `http(s)://host[:port]`."""

    def __init__(self, url: str, connections: int, keep_s: float) -> None:
        address = urlsplit(url)
        if address.scheme not in {"http", "https"} or not address.hostname:
            raise ValueError(f"{url!r} is not an http(s)://host[:port]")
        self._tls = ssl.create_default_context() if address.scheme == "https" else None
        self._host, self._port = address.hostname, address.port or (443 if self._tls else 80)
        self._named = f" HTTP/1.1\r\nHost: {address.netloc}\r\n"
        self._keep_s = keep_s
        self._free = asyncio.Semaphore(connections)
        self._idle: list[Connection] = []

    async def request(self, method: str, target: str, headers: Mapping[str, str], body: bytes) -> Reply:
        """Send a request and return the whole answer; given up by the caller, the connection is closed.

        A kept connection that the server had just closed is replaced once: ask nothing that must not happen twice.

        Raises:
            TransportError: If no answer can come any more.
        """
        fields = "".join(f"{name}: {value}\r\n" for name, value in headers.items())
        head = f"{method} {target}{self._named}Content-Length: {len(body)}\r\n{fields}\r\n".encode("latin-1")
        async with self._free:
            if (line := self._kept()) is not None:
                with contextlib.suppress(_Closed):
                    return await self._exchange(line, head, body)
            return await self._exchange(await self._connect(), head, body)

    def close(self) -> None:
        """Hang up."""
        while self._idle:
            self._idle.pop().close()

    async def _exchange(self, line: "Connection", head: bytes, body: bytes) -> Reply:
        try:
            reply = await line.ask(head, body)
        except BaseException:
            line.close()  # what may still come belongs to nobody
            raise
        if line.usable:
            self._idle.append(line)
        return reply

    def _kept(self) -> "Connection | None":
        """Return the connection that was used last: those not needed grow old and go."""
        oldest = time.monotonic() - self._keep_s
        while self._idle:
            line = self._idle.pop()
            if line.usable and line.used >= oldest:
                return line
            line.close()
        return None

    async def _connect(self) -> "Connection":
        try:
            async with asyncio.timeout(CONNECT_S):
                loop = asyncio.get_running_loop()
                _, line = await loop.create_connection(Connection, self._host, self._port, ssl=self._tls)
        except TimeoutError as error:
            raise TransportError(f"no connection within {CONNECT_S:g} s") from error
        except OSError as error:
            raise TransportError(type(error).__name__) from error
        return line


class _Closed(TransportError):
    """A connection ended before the first byte of an answer."""


class Connection(asyncio.Protocol):
    """One connection, one question at a time."""

    def __init__(self) -> None:
        self.used = time.monotonic()
        self._transport: asyncio.Transport | None = None
        self._answer: asyncio.Future[Reply] | None = None
        self._begin()

    def _begin(self) -> None:
        self._parser = httptools.HttpResponseParser(self)
        self._headers: dict[bytes, bytes] = {}
        self._body: list[bytes] = []
        self._size = 0
        self._heard = False

    @property
    def usable(self) -> bool:
        """Whether another question can be asked."""
        return self._transport is not None and not self._transport.is_closing()

    async def ask(self, head: bytes, body: bytes) -> Reply:
        """Send a request and wait for its answer."""
        if self._transport is None or self._transport.is_closing():
            raise _Closed("the connection was closed")
        self._answer = asyncio.get_running_loop().create_future()
        self._transport.writelines((head, body) if body else (head,))
        try:
            return await self._answer
        finally:
            self._answer = None

    def close(self) -> None:
        """Hang up."""
        if self._transport is not None:
            self._transport.close()

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        self._transport = cast("asyncio.Transport", transport)

    def connection_lost(self, exc: Exception | None) -> None:
        self._transport = None
        reason = type(exc).__name__ if exc else "the connection was closed"
        self._fail(TransportError(f"{reason} in the middle of an answer") if self._heard else _Closed(reason))

    def data_received(self, data: bytes) -> None:
        if self._answer is None:  # nobody asked
            self.close()
            return
        self._heard = True
        try:
            self._parser.feed_data(data)
        except httptools.HttpParserError:
            self._fail(TransportError("what came back is not one HTTP answer"))
            self.close()

    def on_header(self, name: bytes, value: bytes) -> None:
        self._headers[name.lower()] = value

    def on_body(self, body: bytes) -> None:
        self._size += len(body)
        if self._size > MAX_ANSWER:
            self._fail(TransportError(f"the answer has more than {MAX_ANSWER} bytes"))
            self.close()
            return
        self._body.append(body)

    def on_message_complete(self) -> None:
        status, kept = self._parser.get_status_code(), self._parser.should_keep_alive()
        reply = Reply(status, self._headers, self._body[0] if len(self._body) == 1 else b"".join(self._body))
        if not kept:
            self.close()
        self._begin()
        self.used = time.monotonic()
        if self._answer is not None and not self._answer.done():
            self._answer.set_result(reply)

    def _fail(self, error: TransportError) -> None:
        if self._answer is not None and not self._answer.done():
            self._answer.set_exception(error)
