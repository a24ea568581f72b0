"""Forward files to and from the feedback service without holding them in memory."""

from collections.abc import AsyncIterator

from starlette.types import Receive, Scope, Send

from inference.auth_proxy.collaborators import GatewayDependencies
from inference.auth_proxy.context import context_of
from inference.auth_proxy.feedback.forwarding import open_response, require_service
from inference.http.problems import MEDIA_TYPE, BodyIncomplete, BodyTooLarge
from product_classifier.errors import ModelUnavailable, ProductClassifierError

TRANSFER_S = 3600.0
"""Longest duration of an upload with its check, or of a download, in seconds."""


async def forward_upload(services: GatewayDependencies, scope: Scope, receive: Receive, send: Send) -> None:
    """Forward a file, as it arrives, and return the response."""
    body = _UploadBody(receive, context_of(scope).body_limit)
    try:
        await _forward(services, scope, send, body.chunks())
    except ModelUnavailable:
        if body.error is not None:  # the client's, which ended the request to the service
            raise body.error from None
        raise


async def forward_download(services: GatewayDependencies, scope: Scope, _: Receive, send: Send) -> None:
    """Forward a request, and the response as it arrives."""
    await _forward(services, scope, send, b"")


async def _forward(services: GatewayDependencies, scope: Scope, send: Send, body: bytes | AsyncIterator[bytes]) -> None:
    require_service(services)
    async with open_response(services, scope, body, TRANSFER_S) as response:
        media_type = dict(response.headers).get(b"content-type", b"").decode("latin-1")
        if response.status >= 500 and not (response.status == 503 and media_type.startswith(MEDIA_TYPE)):
            raise ModelUnavailable(f"the feedback service failed with status {response.status}; try again")
        await send({"type": "http.response.start", "status": response.status, "headers": list(response.headers)})
        async for chunk in response.chunks:
            await send({"type": "http.response.body", "body": chunk, "more_body": True})
        await send({"type": "http.response.body", "body": b""})


class _UploadBody:
    """The body of a request as it arrives; `error` is why it ended early."""

    def __init__(self, receive: Receive, limit: int) -> None:
        self._receive = receive
        self._limit = limit
        self.error: ProductClassifierError | None = None

    async def chunks(self) -> AsyncIterator[bytes]:
        """Yield the chunks; raise `BodyTooLarge` or `BodyIncomplete`."""
        size, complete = 0, False
        while not complete:
            message = await self._receive()
            chunk = message.get("body", b"")
            size += len(chunk)
            if message["type"] == "http.disconnect":
                self.error = BodyIncomplete("the connection was closed before the file was complete")
            elif size > self._limit:
                self.error = BodyTooLarge(self._limit)
            if self.error is not None:
                raise self.error
            if chunk:
                yield chunk
            complete = not message.get("more_body", False)
