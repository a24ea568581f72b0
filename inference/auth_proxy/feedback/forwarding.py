"""Forward requests to the feedback service, with the identity of the user."""

import asyncio
from collections.abc import AsyncIterable
from contextlib import AbstractAsyncContextManager
from dataclasses import dataclass

import orjson
from starlette.types import Receive, Scope, Send

from inference.auth_proxy.collaborators import GatewayDependencies
from inference.auth_proxy.context import context_of, forwarded_headers
from inference.auth_proxy.json_handlers import read_query
from inference.auth_proxy.media_types import JSON, content_type, require_media_type, with_photo_advice
from inference.auth_proxy.predictions.backends import FEEDBACK, ForwardedResponse
from inference.auth_proxy.predictions.photo_quota import spend_for_feedback
from inference.auth_proxy.request_body import read_request_body
from inference.feedback_api import TaxonomyChangeOptions
from inference.http.problems import MEDIA_TYPE, Problem
from inference.http.public_paths import PREFIX_HEADER
from product_classifier.audit.audit_events import AuditAction
from product_classifier.errors import ModelUnavailable
from product_classifier.images.headers import photo_format

PHOTO_ADVICE = "send JSON with the photo in base64 as product.image"
FORWARDED = {
    b"content-type": "Content-Type",
    b"accept": "Accept",
    b"idempotency-key": "Idempotency-Key",
    b"if-none-match": "If-None-Match",
    b"last-event-id": "Last-Event-ID",
}
"""Request headers the feedback service receives; all others are dropped, forged identities among them."""


async def forward_feedback(services: GatewayDependencies, scope: Scope, receive: Receive, send: Send) -> None:
    """Forward a request to the feedback service and return its response, unless it is a server error."""
    require_service(services)
    context = context_of(scope)
    body = await read_request_body(services, scope, receive)
    if body and context.matched.request:
        _require_json(scope, body)
        await spend_for_feedback(services, scope, body)
    if (action := context.matched.audit) is None:
        response = await forward(services, scope, body)
    else:
        target = context.parameters.get("id") or context.parameters.get("release", "")
        async with services.audit.action(context.requester, action, target) as progress:
            response = await forward(services, scope, body)
            progress.target = response.created and (response.member("release") or response.created)
            progress.failure = response.problem
    await response.send(send)


async def forward_taxonomy_change(services: GatewayDependencies, scope: Scope, receive: Receive, send: Send) -> None:
    """Forward a change file, and record it unless it is a dry run."""
    require_service(services)
    context = context_of(scope)
    options = read_query(TaxonomyChangeOptions, scope)  # as the service reads them: one value, and no other parameter
    body = await read_request_body(services, scope, receive)
    require_media_type(content_type(scope), JSON)
    if options.dry_run:
        response = await forward(services, scope, body)
    else:
        async with services.audit.action(context.requester, AuditAction.TAXONOMY_CHANGED) as progress:
            response = await forward(services, scope, body)
            progress.failure = response.problem
            progress.target = "" if progress.failure else await asyncio.to_thread(response.member, "to")
    await response.send(send)


PHOTO_HEADERS = [
    # Only for this user, and never stale: the path is a hash of the content.
    (b"cache-control", b"private, max-age=31536000, immutable"),
    # A photo that a browser is made to open as a page runs nothing.
    (b"content-security-policy", b"default-src 'none'; sandbox"),
]


async def forward_photo(services: GatewayDependencies, scope: Scope, receive: Receive, send: Send) -> None:
    """Forward a request for a photo; the response may be cached by the client for good."""
    require_service(services)
    await read_request_body(services, scope, receive)
    response = await forward(services, scope, b"")
    if response.status in {200, 304}:
        response.headers.extend(PHOTO_HEADERS)
    await response.send(send)


def require_service(services: GatewayDependencies) -> None:
    """Raise a 503 problem unless a feedback service is configured."""
    if not services.backends.has(FEEDBACK):
        raise Problem(503, "the feedback service is not configured; set AUTH_PROXY_FEEDBACK_URL", kind="not-configured")


@dataclass(frozen=True, slots=True)
class ForwardedDocument:
    """A response of the feedback service with its whole body."""

    status: int
    headers: list[tuple[bytes, bytes]]
    body: bytes

    @property
    def created(self) -> str:
        """Return the id of what the request created."""
        return dict(self.headers).get(b"location", b"").decode("latin-1").rpartition("/")[2]

    @property
    def problem(self) -> str:
        """Return why the service refused the request; empty if it did not."""
        return "" if self.status < 400 else self.member("detail") or f"status {self.status}"

    def member(self, name: str) -> str:
        """Return a member of the JSON document as text; empty if it has none."""
        try:
            return str(orjson.loads(self.body)[name])
        except (ValueError, KeyError, TypeError):
            return ""

    async def send(self, send: Send) -> None:
        """Respond with it."""
        await send({"type": "http.response.start", "status": self.status, "headers": self.headers})
        await send({"type": "http.response.body", "body": self.body})


async def forward(
    services: GatewayDependencies, scope: Scope, body: bytes | AsyncIterable[bytes], timeout_s: float | None = None
) -> ForwardedDocument:
    """Return the response of the feedback service to a request.

    Args:
        services: Services of the gateway.
        scope: The request.
        body: Its body, whole or in parts.
        timeout_s: Seconds until the response is complete; None for those of the settings.

    Raises:
        ModelUnavailable: If the service fails or does not respond in time.
    """
    async with open_response(services, scope, body, timeout_s) as response:
        data = b"".join([chunk async for chunk in response.chunks])
        media_type = dict(response.headers).get(b"content-type", b"").decode("latin-1")
        if response.status >= 500 and not (response.status == 503 and media_type.startswith(MEDIA_TYPE)):
            raise ModelUnavailable(f"the feedback service failed with status {response.status}; try again")
        return ForwardedDocument(response.status, list(response.headers), data)


def open_response(
    services: GatewayDependencies, scope: Scope, body: bytes | AsyncIterable[bytes], timeout_s: float | None = None
) -> AbstractAsyncContextManager[ForwardedResponse]:
    """Send a request to the feedback service; the body of the response is streamed within the block."""
    secret = services.settings.internal_token
    headers = {
        **forwarded_headers(scope, FORWARDED),
        "X-Internal-Token": secret.get_secret_value() if secret else "",
        PREFIX_HEADER: services.settings.root_path,
    }
    query = scope["query_string"].decode("ascii")
    target = f"{scope['path']}?{query}" if query else scope["path"]
    method = context_of(scope).matched.method
    return services.backends.forward(FEEDBACK, method, target, headers, body, timeout_s)


def _require_json(scope: Scope, body: bytes) -> None:
    """Raise a problem for a body of another media type, and for a photo instead of JSON."""
    try:
        require_media_type(content_type(scope), JSON)
    except Problem as problem:
        raise with_photo_advice(problem, body, PHOTO_ADVICE) from None
    if photo_format(body) is not None:
        raise with_photo_advice(Problem(400, "the body is not valid JSON", kind="malformed-json"), body, PHOTO_ADVICE)
