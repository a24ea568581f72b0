"""Forward the events of a training run as they arrive."""

import asyncio

from starlette.types import Receive, Scope, Send

from inference.auth_proxy.collaborators import GatewayDependencies
from inference.auth_proxy.feedback.forwarding import open_response, require_service
from inference.auth_proxy.request_body import read_request_body
from inference.compat.uvicorn import ON_DRAIN
from inference.http.problems import MEDIA_TYPE, ClientDisconnected
from inference.run_events_api import STREAM_S
from product_classifier.errors import ModelUnavailable

MARGIN_S = 30.0
"""Seconds that the feedback service has to end a stream after `STREAM_S`."""
NO_BUFFERING = (b"x-accel-buffering", b"no")
"""Has nginx pass each event on at once."""


async def forward_events(services: GatewayDependencies, scope: Scope, receive: Receive, send: Send) -> None:
    """Forward a request for events, each of which is sent as it arrives.

    The request to the feedback service is canceled when the client leaves. A stream that has started ends, so that the
    client connects again, when this server stops or the feedback service fails.
    """
    require_service(services)
    await read_request_body(services, scope, receive)
    with services.event_streams.slot():
        await _Stream(scope, receive, send).forward(services)


class _Stream:
    """The response to one request for events."""

    def __init__(self, scope: Scope, receive: Receive, send: Send) -> None:
        self._scope = scope
        self._receive = receive
        self._send = send
        self._has_started = False

    async def forward(self, services: GatewayDependencies) -> None:
        """Respond as the feedback service does, until the client leaves or a server stops."""
        disconnected = asyncio.create_task(self._wait_for_disconnect())
        try:
            async with asyncio.timeout(None) as limit:

                def stop(*_: object) -> None:
                    limit.reschedule(0)

                disconnected.add_done_callback(stop)
                try:
                    await self._forward(services, stop)
                finally:
                    disconnected.remove_done_callback(stop)
                    self._scope.pop(ON_DRAIN, None)
        except TimeoutError:
            if not self._has_started:
                raise ClientDisconnected("the client closed the connection before the response") from None
        except ModelUnavailable:
            if not self._has_started:
                raise
        finally:
            disconnected.cancel()
        await self._send({"type": "http.response.body", "body": b""})

    async def _forward(self, services: GatewayDependencies, stop: object) -> None:
        async with open_response(services, self._scope, b"", STREAM_S + MARGIN_S) as response:
            media_type = dict(response.headers).get(b"content-type", b"").decode("latin-1")
            if response.status >= 500 and not (response.status == 503 and media_type.startswith(MEDIA_TYPE)):
                raise ModelUnavailable(f"the feedback service failed with status {response.status}; try again")
            headers = [*response.headers, NO_BUFFERING]
            await self._send({"type": "http.response.start", "status": response.status, "headers": headers})
            self._has_started = True
            self._scope[ON_DRAIN] = stop
            async for chunk in response.chunks:
                await self._send({"type": "http.response.body", "body": chunk, "more_body": True})

    async def _wait_for_disconnect(self) -> None:
        while (await self._receive())["type"] != "http.disconnect":
            pass
