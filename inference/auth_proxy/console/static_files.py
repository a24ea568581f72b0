"""Handlers of the pages: the console, the API documentation and the OpenAPI document."""

from importlib.resources import files

from starlette.responses import JSONResponse, Response
from starlette.types import Receive, Scope, Send

from inference.auth_proxy.collaborators import GatewayDependencies
from inference.auth_proxy.routing import Handler

CONTENT_SECURITY_POLICY = (
    "default-src 'none'; script-src 'self'; style-src 'self'; img-src 'self' blob: data:; connect-src 'self';"
    " form-action 'none'; base-uri 'none'; frame-ancestors 'none'"
)
MEDIA_TYPES = {"html": "text/html", "js": "text/javascript", "css": "text/css"}


def page(name: str) -> Handler:
    """Return the handler of one file of this package."""
    content = (files("inference.auth_proxy.console") / name).read_bytes()
    media_type = f"{MEDIA_TYPES[name.rpartition('.')[2]]}; charset=utf-8"
    headers = {"Content-Security-Policy": CONTENT_SECURITY_POLICY, "Cache-Control": "no-cache"}

    async def handler(_: GatewayDependencies, scope: Scope, receive: Receive, send: Send) -> None:
        await Response(content, media_type=media_type, headers=headers)(scope, receive, send)

    return handler


async def openapi_document(_: GatewayDependencies, scope: Scope, receive: Receive, send: Send) -> None:
    """Respond with the OpenAPI document of the application."""
    await JSONResponse(scope["app"].openapi())(scope, receive, send)
