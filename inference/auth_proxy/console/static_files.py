"""Handlers of the pages: the console, the API documentation and the OpenAPI document."""

from importlib.resources import files

import orjson
from starlette.types import Receive, Scope, Send

from inference.auth_proxy.collaborators import GatewayDependencies
from inference.auth_proxy.conditional_document import ConditionalDocument
from inference.auth_proxy.routing import Handler

CONTENT_SECURITY_POLICY = (
    "default-src 'none'; script-src 'self'; style-src 'self'; img-src 'self' blob: data:; connect-src 'self';"
    " form-action 'none'; base-uri 'none'; frame-ancestors 'none'"
)
MEDIA_TYPES = {"html": "text/html", "js": "text/javascript", "css": "text/css", "svg": "image/svg+xml"}


def page(name: str) -> Handler:
    """Return the handler of one file of this package."""
    content = (files("inference.auth_proxy.console") / name).read_bytes()
    media_type = f"{MEDIA_TYPES[name.rpartition('.')[2]]}; charset=utf-8"
    document = ConditionalDocument(content, media_type, {"content-security-policy": CONTENT_SECURITY_POLICY})

    async def handler(_: GatewayDependencies, scope: Scope, __: Receive, send: Send) -> None:
        await document.respond(scope, send)

    return handler


async def openapi_document(_: GatewayDependencies, scope: Scope, __: Receive, send: Send) -> None:
    """Respond with the OpenAPI document of the application, serialized once."""
    state = scope["app"].state
    if (document := getattr(state, "openapi_document", None)) is None:
        content = orjson.dumps(scope["app"].openapi())
        document = state.openapi_document = ConditionalDocument(content, "application/json")
    await document.respond(scope, send)
