"""Handlers of the files that a browser loads."""

from importlib.resources import files
from importlib.resources.abc import Traversable

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
    return file_handler(files("inference.auth_proxy.console") / name)


def file_handler(file: Traversable) -> Handler:
    """Return the handler of a file, which is read once."""
    media_type = f"{MEDIA_TYPES[file.name.rpartition('.')[2]]}; charset=utf-8"
    headers = {"content-security-policy": CONTENT_SECURITY_POLICY}
    document = ConditionalDocument(file.read_bytes(), media_type, headers)

    async def handler(_: GatewayDependencies, scope: Scope, __: Receive, send: Send) -> None:
        await document.respond(scope, send)

    return handler
