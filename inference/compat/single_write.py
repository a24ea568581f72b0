"""One system call per response, where uvicorn uses two.

uvicorn writes the head and the body of a response one after the other, and the first wakes the client with nothing it
can use. On an idle machine: 0.169 instead of 0.194 ms CPU per request (P1).
"""

import asyncio
from typing import Any, Protocol


class ReceivingProtocol(Protocol):
    """The attributes of a protocol that its transport reads."""

    pipeline: Any
    """Requests that wait for the response to an earlier one."""

    @property
    def expects_data(self) -> bool:
        """Whether the client sends something that no handler reads."""

    def discard_until_closed(self) -> None:
        """Read and discard what the client sends, within bounds, then close the connection."""


class SingleWriteTransport:
    """A transport that joins the writes of one iteration of the event loop; all else is the transport's.

    `close` reads and discards what a client still sends, within bounds, if the protocol says that there is more: to
    close a socket with unread data resets the connection, which can discard the response before the client reads it.
    """

    def __init__(self, transport: asyncio.Transport, protocol: ReceivingProtocol) -> None:
        self._transport = transport
        self._protocol = protocol
        self._loop = asyncio.get_running_loop()
        self._parts: list[bytes] = []
        self._closing = False

    def __getattr__(self, name: str) -> Any:
        return getattr(self._transport, name)

    def write(self, data: bytes) -> None:
        """Write at the end of this iteration, in order."""
        if not self._parts:
            self._loop.call_soon(self._flush)
        self._parts.append(data)

    def resume_reading(self) -> None:
        """Read again, unless requests wait for the response to an earlier one."""
        if not self._protocol.pipeline:
            self._transport.resume_reading()

    def is_closing(self) -> bool:
        """Return whether nothing more is written."""
        return self._closing or self._transport.is_closing()

    def close(self) -> None:
        """Write what is pending, then close: at once, or when the client has sent everything."""
        self._flush()
        if self._closing:
            return
        self._closing = True
        if self._protocol.expects_data and not self._transport.is_closing():
            self._transport.write_eof()
            self._transport.resume_reading()
            self._protocol.discard_until_closed()
        else:
            self._transport.close()

    def abort(self) -> None:
        """Close at once, without what the client has not read and still sends."""
        self._closing = True
        self._transport.abort()

    def _flush(self) -> None:
        if parts := self._parts:
            self._parts = []
            self._transport.writelines(parts)
