"""Work for a caller who has gone is not done: the end of the connection ends the handler that works for it.

A deadline needs no header of its own between our servers: whoever gives up closes the connection, the handler behind it
is cancelled and with it the questions it had asked, and what waits for a thread is never begun.
"""

import asyncio
from collections.abc import Iterator
from contextlib import contextmanager
from typing import cast

from starlette.types import Scope
from uvicorn.protocols.http.httptools_impl import HttpToolsProtocol

from inference.compat.uvicorn_writes import WholeWrites
from inference.http.problems import ClientDisconnected

_ABANDON = "product_classifier.abandon"


class DisconnectProtocol(HttpToolsProtocol):
    """uvicorn's HTTP/1.1; a handler inside `cancel_on_disconnect` is cancelled when its connection ends."""

    def connection_made(self, transport: asyncio.Transport) -> None:  # type: ignore[override]
        super().connection_made(cast("asyncio.Transport", WholeWrites(transport)))

    def connection_lost(self, exc: Exception | None) -> None:
        super().connection_lost(exc)
        if self.scope is not None and callable(abandon := self.scope.get(_ABANDON)):
            abandon()


@contextmanager
def cancel_on_disconnect(scope: Scope) -> Iterator[None]:
    """Cancel what is awaited inside as soon as nobody waits for the answer.

    Raises:
        ClientDisconnected: If that happened.
    """
    task, gone = asyncio.current_task(), False

    def abandon() -> None:
        nonlocal gone
        if task is not None:
            gone = True
            task.cancel()

    scope[_ABANDON] = abandon
    try:
        yield
    except asyncio.CancelledError:
        if not gone or task is None or task.uncancel():  # somebody else cancels as well: they come first
            raise
        raise ClientDisconnected("the caller hung up before the answer") from None
    finally:
        scope.pop(_ABANDON, None)
