"""Internals of uvicorn, checked with uvicorn 0.54.0 by tests/inference/compat/test_uvicorn.py.

- `HttpProtocol` extends `HttpToolsProtocol`, uvicorn's HTTP/1.1 protocol, which is no public interface. ASGI reports a
  disconnect only to an application that calls `receive`; the protocol knows it at once, so that a handler is cancelled
  when its client disconnects. It also responds to requests that the parser refuses, for which uvicorn sends plain text.
- Its transport is a `SingleWriteTransport`; uvicorn takes any.
- `DrainingServer` and `EmbeddedServer` of draining.py override `shutdown`, `startup` and `capture_signals`.
"""

import asyncio
import http
from collections.abc import Mapping
from types import MappingProxyType
from typing import Any, cast

import httptools
from uvicorn.protocols.http.httptools_impl import HttpToolsProtocol, RequestResponseCycle

from inference.compat.connection_limits import ConnectionLimits
from inference.compat.single_write import SingleWriteTransport
from inference.compat.upgrades import head_without_offer

ON_DISCONNECT = "product_classifier.on_disconnect"
"""Key of an ASGI scope: a function that `HttpProtocol` calls when the connection of the request ends."""
ON_DRAIN = "product_classifier.on_drain"
"""Key of an ASGI scope: a function that `HttpProtocol` calls when the server stops and the response has started."""
MAX_DISCARDED_BYTES = 64_000_000
"""Bytes of requests that no handler reads, on one connection; more close it."""
MAX_PIPELINED = 16
"""Requests of one connection that may wait for the response to an earlier one."""
NOT_HTTP = "the request is not one valid HTTP request"
HTTP2_PREFACE = b"PRI * HTTP/2.0"
NOT_HTTP2 = "the connection starts with HTTP/2, which this port does not support; use HTTP/1.1"


class PipelineFull(Exception):
    """A client sends more requests than may wait; raised inside the parser, which stops."""


class HttpProtocol(HttpToolsProtocol):
    """uvicorn's HTTP/1.1 protocol; calls `scope[ON_DISCONNECT]` when the connection ends.

    A response that is sent before the request was read can be read by the client: the rest of the request is read and
    discarded, up to `MAX_DISCARDED_BYTES` and `discard_s` seconds. At most `MAX_PIPELINED` requests wait for an earlier
    one on a connection; after the last of them it is closed. A client that does not read a response for
    `write_timeout_s` is disconnected. An offer to upgrade the connection is ignored (RFC 9110, section 7.8).
    """

    limits: ConnectionLimits | None = None
    discard_s = 5.0
    write_timeout_s = 30.0

    def __init__(self, *args: Any, **kwargs: Any) -> None:
        super().__init__(*args, **kwargs)
        self._receiving = False
        self._stopped = False
        self._discarded_bytes = 0
        self._discard_timer: asyncio.TimerHandle | None = None
        self._connected_at = 0.0
        self._write_timer: asyncio.TimerHandle | None = None
        self._is_offer = False

    def connection_made(self, transport: asyncio.Transport) -> None:  # type: ignore[override]
        super().connection_made(cast("asyncio.Transport", SingleWriteTransport(transport, self)))
        self._connected_at = self.loop.time()
        if self.limits is not None and (reason := self.limits.admit(self)) is not None:
            if self.limits.has_room_to_refuse():
                self.refuse_connection(reason)
            else:
                self._end()

    def connection_lost(self, exc: Exception | None) -> None:
        if self.limits is not None:
            self.limits.release(self)
        self._stop_discarding()
        self._stop_write_timer()
        self._receiving = self._stopped = False
        super().connection_lost(exc)
        if self.scope is not None and callable(on_disconnect := self.scope.get(ON_DISCONNECT)):
            on_disconnect()

    def data_received(self, data: bytes) -> None:
        if self._stopped or self.transport.is_closing():
            self._discard(len(data))
            return
        self._unset_keepalive_if_required()
        try:
            self._parse(data)
        except httptools.HttpParserError:
            self.send_400_response(NOT_HTTP2 if data.startswith(HTTP2_PREFACE) else NOT_HTTP)
        if self._receiving and self.response_complete:
            self._discard(len(data))

    def pause_writing(self) -> None:
        super().pause_writing()
        if self._write_timer is None:
            self._write_timer = self.loop.call_later(self.write_timeout_s, self._end)

    def resume_writing(self) -> None:
        super().resume_writing()
        self._stop_write_timer()

    def on_message_begin(self) -> None:
        if len(self.pipeline) >= MAX_PIPELINED:
            raise PipelineFull
        super().on_message_begin()
        self._receiving = True

    def on_headers_complete(self) -> None:
        if self.parser.should_upgrade():
            self._is_offer = True
            return
        super().on_headers_complete()
        if hasattr(self.server_state, "draining"):
            self.cycle.keep_alive = False
        if self.expect_100_continue:
            _close_unless_continued(self.cycle)

    def on_message_complete(self) -> None:
        if self._is_offer:
            return
        super().on_message_complete()
        self._receiving = False
        if self._discard_timer is not None and not self.transport.is_closing():
            self._stop_discarding()
            self.timeout_keep_alive_task = self.loop.call_later(
                self.timeout_keep_alive, self.timeout_keep_alive_handler
            )

    def on_response_complete(self) -> None:
        was_pipelined = bool(self.pipeline)
        super().on_response_complete()
        if was_pipelined:
            self.transport.resume_reading()
        elif self._receiving and self.response_complete and not self.transport.is_closing():
            self.discard_until_closed()

    def send_400_response(self, msg: str) -> None:
        """Respond to a request that the parser refuses, and close the connection."""
        self._stopped = True
        if len(self.pipeline) >= MAX_PIPELINED:
            self.cycle.keep_alive = False  # of the last request that waits
        else:
            self.refuse_request(msg)

    def refuse_request(self, reason: str) -> None:
        """Respond with 400 and close the connection."""
        super().send_400_response(reason)

    def refuse_connection(self, reason: str) -> None:
        """Respond with 503 before a request and close the connection."""
        self.respond_and_close(503, "text/plain; charset=utf-8", reason.encode(), {"retry-after": "1"})

    @property
    def address(self) -> str:
        """IP address of the client; empty if the connection has none."""
        return self.client[0] if self.client else ""

    @property
    def response_complete(self) -> bool:
        """Whether the response to the latest request was written."""
        return self.cycle is not None and self.cycle.response_complete

    @property
    def expects_data(self) -> bool:
        """Whether the client sends something that no handler reads."""
        return self._receiving or self._stopped or bool(self.pipeline)

    @property
    def idle_since(self) -> float | None:
        """Time of the event loop since when no request is in progress, or its response is not read; else None."""
        if self._write_timer is not None:
            return self._write_timer.when() - self.write_timeout_s
        if self.cycle is not None and not self.cycle.response_complete:
            return None
        if self.timeout_keep_alive_task is not None:
            return self.timeout_keep_alive_task.when() - self.timeout_keep_alive
        return self._connected_at

    def evict(self) -> None:
        """Close an idle connection in favor of another one."""
        if self.limits is not None:
            self.limits.release(self)
        self.transport.abort()

    def close_after_response(self) -> None:
        """Close the connection after the response in progress, which says so; an idle one stays open.

        Calls `scope[ON_DRAIN]` of a response that has started, which may last.
        """
        for cycle in (self.cycle, *(cycle for cycle, _ in self.pipeline)):
            if cycle is not None and not cycle.response_started:
                cycle.keep_alive = False
            elif cycle is not None and not cycle.response_complete and callable(stop := cycle.scope.get(ON_DRAIN)):
                stop()

    def shutdown(self) -> None:
        """Close the connection if it is idle, else after the response in progress or the one to come."""
        if self.idle_since is None or not self._receiving:
            super().shutdown()

    def respond_and_close(
        self, status: int, media_type: str, body: bytes, headers: Mapping[str, str] = MappingProxyType({})
    ) -> None:
        """Respond in place of the application and close the connection.

        After the head of another response was written, only close.
        """
        self._stopped = True
        if self.cycle is None or self.cycle.response_complete or not self.cycle.response_started:
            line = f"HTTP/1.1 {status} {http.HTTPStatus(status).phrase}\r\n"
            fields = {**headers, "content-type": media_type, "content-length": len(body), "connection": "close"}
            head = line + "".join(f"{name}: {value}\r\n" for name, value in fields.items())
            self.transport.write(f"{head}\r\n".encode() + body)
        if self.cycle is not None:
            self.cycle.disconnected = True
            self.cycle.message_event.set()
        self.transport.close()

    def discard_until_closed(self) -> None:
        """Close the connection after `discard_s`, whatever the client still sends."""
        if self._discard_timer is None:
            self._discard_timer = self.loop.call_later(self.discard_s, self._end)

    def _parse(self, data: bytes) -> None:
        """Feed the parser; raise HttpParserError for what is not HTTP.

        A parser ends a request that offers to upgrade after its head, and reads nothing more if that says `close`:
        another one parses the head without the offer, and what follows.
        """
        while data:
            try:
                self.parser.feed_data(data)
                data = b""
            except httptools.HttpParserUpgrade as offer:
                self._is_offer = False
                method, version = self.parser.get_method(), self.parser.get_http_version()
                head = head_without_offer(method, self.url, version, self.headers)
                data = head + data[offer.args[0] :]
                self.parser = httptools.HttpRequestParser(self)
                self.parser.set_dangerous_leniencies(lenient_data_after_close=True)  # as uvicorn sets it

    def _discard(self, size: int) -> None:
        self._discarded_bytes += size
        if self._discarded_bytes > MAX_DISCARDED_BYTES:
            self._end()

    def _stop_write_timer(self) -> None:
        if self._write_timer is not None:
            self._write_timer.cancel()
            self._write_timer = None

    def _stop_discarding(self) -> None:
        if self._discard_timer is not None:
            self._discard_timer.cancel()
            self._discard_timer = None

    def _end(self) -> None:
        self.transport.abort()


def _close_unless_continued(cycle: RequestResponseCycle) -> None:
    """Close the connection after a response for which the body was not requested: the client may not send it."""
    send = cycle.send

    async def send_first(message: Any) -> None:
        if cycle.waiting_for_100_continue:
            cycle.keep_alive = False
        await send(message)

    cycle.send = send_first  # type: ignore[method-assign]


def limited_protocol(limits: ConnectionLimits, base: type[HttpProtocol] = HttpProtocol, **attributes: object) -> type:
    """Return a protocol whose connections share these limits, with other values of its class attributes."""
    return type("Protocol", (base,), {"limits": limits, **attributes})
