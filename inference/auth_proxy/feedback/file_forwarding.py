"""Forward files with labels to and from the feedback service, in parts: none is held in memory."""

import asyncio
from collections.abc import AsyncIterator

from starlette.types import Receive, Scope, Send

from inference.auth_proxy.collaborators import GatewayDependencies
from inference.auth_proxy.context import context_of
from inference.auth_proxy.feedback.forwarding import forward, open_response, require_service
from inference.auth_proxy.json_handlers import read_query
from inference.auth_proxy.media_types import content_type, require_media_type
from inference.auth_proxy.request_body import read_request_body
from inference.http.bodies import check_content_length
from inference.http.problems import BodyIncomplete, BodyTimeout, BodyTooLarge
from inference.label_file_api import EXPORT_MEDIA_TYPES, ExportParameters, ImportParameters
from product_classifier.audit.audit_events import AuditAction
from product_classifier.errors import ModelUnavailable, ProductClassifierError
from product_classifier.feedback.label_formats import SUFFIXES
from product_classifier.limits import MIB

TRANSFER_S = 3600.0
"""Seconds that an export or an import may take."""


async def forward_export(services: GatewayDependencies, scope: Scope, receive: Receive, send: Send) -> None:
    """Forward a request for a file, and send each part on as it arrives."""
    require_service(services)
    parameters = read_query(ExportParameters, scope)
    await read_request_body(services, scope, receive)
    async with open_response(services, scope, b"", TRANSFER_S) as response:
        if response.status >= 500:
            raise ModelUnavailable(f"the feedback service failed with status {response.status}; try again")
        headers = list(response.headers)
        if response.status == 200:
            name = f"corrections.{SUFFIXES[parameters.format]}"
            headers.append((b"content-disposition", f'attachment; filename="{name}"'.encode()))
        await send({"type": "http.response.start", "status": response.status, "headers": headers})
        async for chunk in response.chunks:
            await send({"type": "http.response.body", "body": chunk, "more_body": True})
        await send({"type": "http.response.body", "body": b""})


async def forward_import(services: GatewayDependencies, scope: Scope, receive: Receive, send: Send) -> None:
    """Forward a file, and record that the user imported it."""
    require_service(services)
    read_query(ImportParameters, scope)
    require_media_type(content_type(scope), *EXPORT_MEDIA_TYPES)
    limit = services.settings.import_mb * MIB
    check_content_length(dict(scope["headers"]), limit)
    upload = _Upload(receive, limit, services.settings.body_timeout_s)
    context = context_of(scope)
    async with services.audit.action(context.requester, AuditAction.CORRECTIONS_IMPORTED) as progress:
        try:
            response = await forward(services, scope, upload, TRANSFER_S)
        except ModelUnavailable:
            if upload.failure is not None:  # the request was not completed for this reason
                raise upload.failure from None
            raise
        progress.failure = response.problem
    await response.send(send)


class _Upload:
    """A request body in parts."""

    def __init__(self, receive: Receive, limit: int, timeout_s: float) -> None:
        self._receive = receive
        self._limit = limit
        self._timeout_s = timeout_s
        self.failure: ProductClassifierError | None = None
        """Why the body ended early."""

    async def __aiter__(self) -> AsyncIterator[bytes]:
        """Yield the parts; raise `BodyTooLarge`, `BodyTimeout` or `BodyIncomplete` where they end early."""
        size, complete = 0, False
        try:
            while not complete:
                async with asyncio.timeout(self._timeout_s):
                    message = await self._receive()
                if message["type"] == "http.disconnect":
                    raise BodyIncomplete("the connection was closed before the body was complete")
                size += len(message.get("body", b""))
                if size > self._limit:
                    raise BodyTooLarge(self._limit)
                if message.get("body"):
                    yield message["body"]
                complete = not message.get("more_body", False)
        except TimeoutError as error:
            self.failure = BodyTimeout(f"no part of the body arrived within {self._timeout_s:g} s")
            raise self.failure from error
        except ProductClassifierError as error:
            self.failure = error
            raise
