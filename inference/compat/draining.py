"""Stop a uvicorn server without a read error at any client.

uvicorn closes idle connections at once, and a request that its client sends at that moment gets no response. Here a
server that stops accepts what already waits for it, then listens no more; for `drain_s` seconds it responds on every
open connection, with `Connection: close`; what is idle afterwards is closed. Requests in progress complete.
"""

import asyncio
import contextlib
import socket
from collections.abc import Callable, Iterator
from typing import Any

import uvicorn

from inference.compat.uvicorn import HttpProtocol

DRAIN_S = 2.0
POLL_S = 0.02


class DrainingServer(uvicorn.Server):
    """A uvicorn server for `HttpProtocol` connections; `sockets` must be passed to `run` or `serve`."""

    def __init__(self, config: uvicorn.Config, drain_s: float = DRAIN_S) -> None:
        super().__init__(config)
        self._drain_s = drain_s

    async def shutdown(self, sockets: list[socket.socket] | None = None) -> None:
        """Drain the connections, then stop as uvicorn does."""
        waiting = [connection for one in sockets or [] for connection in _accept_all(one)]
        for server in self.servers:
            server.close()
        for connection in waiting:
            await asyncio.get_running_loop().connect_accepted_socket(self._make_protocol, connection)
        self._announce()
        end = asyncio.get_running_loop().time() + self._drain_s
        while self._is_draining(end):  # noqa: ASYNC110 - connections end without an event, as uvicorn waits for them
            await asyncio.sleep(POLL_S)
        await super().shutdown(sockets)

    def _is_draining(self, end: float) -> bool:
        return bool(self.server_state.connections) and not self.force_exit and asyncio.get_running_loop().time() < end

    def _announce(self) -> None:
        """Have the response to every request, in progress or to come, close its connection."""
        self.server_state.draining = True  # type: ignore[attr-defined]
        for connection in self.server_state.connections:
            if isinstance(connection, HttpProtocol):
                connection.close_after_response()

    def _make_protocol(self) -> asyncio.Protocol:
        config: Any = self.config
        make: Callable[..., asyncio.Protocol] = config.http_protocol_class
        return make(config=config, server_state=self.server_state, app_state=self.lifespan.state)


class EmbeddedServer(DrainingServer):
    """A server that leaves signals alone and sets `listening` once it accepts connections.

    The process handles signals, because REST and gRPC stop together, and logs its start once the port listens.
    """

    def __init__(self, config: uvicorn.Config, drain_s: float = DRAIN_S) -> None:
        super().__init__(config, drain_s)
        self.listening = asyncio.Event()

    async def startup(self, sockets: list[socket.socket] | None = None) -> None:
        await super().startup(sockets)
        self.listening.set()

    @contextlib.contextmanager
    def capture_signals(self) -> Iterator[None]:
        yield


def _accept_all(listener: socket.socket) -> list[socket.socket]:
    """Accept the connections that wait: closing the listener would reset them."""
    listener.setblocking(False)
    accepted = []
    try:
        while True:
            connection, _ = listener.accept()
            connection.setblocking(False)
            accepted.append(connection)
    except OSError:  # none waits any more
        return accepted
