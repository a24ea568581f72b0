"""Cancel a handler when its client disconnects.

Deadlines need no header between services: a client that times out closes the connection, which cancels the handler,
the requests that it sent in turn, and work that has not been started. Needs `inference.compat.uvicorn.HttpProtocol`.
"""

import asyncio
from collections.abc import Iterator
from contextlib import contextmanager

from starlette.types import Scope

from inference.compat.uvicorn import ON_DISCONNECT
from inference.http.problems import ClientDisconnected


@contextmanager
def cancel_on_disconnect(scope: Scope) -> Iterator[None]:
    """Cancel what the block awaits when the client of this request disconnects.

    Raises:
        ClientDisconnected: If that happened.
    """
    task, disconnected = asyncio.current_task(), False

    def cancel() -> None:
        nonlocal disconnected
        if task is not None:
            disconnected = True
            task.cancel()

    scope[ON_DISCONNECT] = cancel
    try:
        yield
    except asyncio.CancelledError:
        if not disconnected or task is None or task.uncancel():  # the task was also cancelled for another reason
            raise
        raise ClientDisconnected("the client closed the connection before the response") from None
    finally:
        scope.pop(ON_DISCONNECT, None)
