"""Handlers of the pages: the console, the API documentation and the OpenAPI document."""

import hashlib
from importlib.resources import files

import orjson
from starlette.types import Receive, Scope, Send

from inference.auth_proxy.collaborators import GatewayDependencies
from inference.auth_proxy.routing import Handler

CONTENT_SECURITY_POLICY = (
    "default-src 'none'; script-src 'self'; style-src 'self'; img-src 'self' blob: data:; connect-src 'self';"
    " form-action 'none'; base-uri 'none'; frame-ancestors 'none'"
)
MEDIA_TYPES = {"html": "text/html", "js": "text/javascript", "css": "text/css", "svg": "image/svg+xml"}


def page(name: str) -> Handler:
    """Return the handler of one file of this package."""
    content = (files("inference.auth_proxy.console") / name).read_bytes()
    document = Document(content, f"{MEDIA_TYPES[name.rpartition('.')[2]]}; charset=utf-8", CONTENT_SECURITY_POLICY)

    async def handler(_: GatewayDependencies, scope: Scope, __: Receive, send: Send) -> None:
        await document.respond(scope, send)

    return handler


async def openapi_document(_: GatewayDependencies, scope: Scope, __: Receive, send: Send) -> None:
    """Respond with the OpenAPI document of the application, serialized once."""
    state = scope["app"].state
    if (document := getattr(state, "openapi_document", None)) is None:
        content = orjson.dumps(scope["app"].openapi())
        document = state.openapi_document = Document(content, "application/json")
    await document.respond(scope, send)


class Document:
    """The content of an open route that never changes while the process runs, with its headers."""

    def __init__(self, content: bytes, media_type: str, policy: str = "") -> None:
        self._content = content
        self._etag = f'"{hashlib.sha256(content).hexdigest()[:32]}"'.encode()
        self._cached = [(b"cache-control", b"no-cache"), (b"etag", self._etag)]
        if policy:
            self._cached.append((b"content-security-policy", policy.encode()))
        self._headers = [
            (b"content-type", media_type.encode()),
            (b"content-length", b"%d" % len(content)),
            *self._cached,
        ]

    async def respond(self, scope: Scope, send: Send) -> None:
        """Respond with the content, or with 304 to a client that has it (RFC 9110, section 13.1.2)."""
        known = dict(scope["headers"]).get(b"if-none-match", b"")
        if known.strip() == b"*" or self._etag in known:
            await send({"type": "http.response.start", "status": 304, "headers": [*self._cached]})
            await send({"type": "http.response.body", "body": b""})
            return
        await send({"type": "http.response.start", "status": 200, "headers": [*self._headers]})
        await send({"type": "http.response.body", "body": self._content})
