"""One system call for an answer that is written in pieces.

uvicorn writes the head of an answer and its body each with a call of its own, which wakes the reader twice, the first
time with nothing it can use.
"""

import asyncio
from typing import Any


class WholeWrites:
    """A transport that gathers what is written within one turn of the event loop; the rest is the transport's own."""

    def __init__(self, transport: asyncio.Transport) -> None:
        self._transport = transport
        self._loop = asyncio.get_running_loop()
        self._parts: list[bytes] = []

    def __getattr__(self, name: str) -> Any:
        return getattr(self._transport, name)

    def write(self, data: bytes) -> None:
        """Write at the end of this turn, in the order given."""
        if not self._parts:
            self._loop.call_soon(self._flush)
        self._parts.append(data)

    def close(self) -> None:
        """Write what was gathered, then hang up."""
        self._flush()
        self._transport.close()

    def _flush(self) -> None:
        if parts := self._parts:
            self._parts = []
            self._transport.writelines(parts)
