"""Handlers of `/docs` and `/openapi.json`; Swagger UI is that of the package `fastapi_swagger`."""

from importlib.resources import files

import orjson
from starlette.types import Receive, Scope, Send

from inference.auth_proxy.collaborators import GatewayDependencies
from inference.auth_proxy.conditional_document import ConditionalDocument
from inference.auth_proxy.routing import Handler
from inference.auth_proxy.workbench.static_files import file_handler

PAGE_FILES = files("inference.auth_proxy.documentation")
SWAGGER_UI_FILES = files("fastapi_swagger.resources")


def page_file(name: str) -> Handler:
    """Return the handler of one file of this package."""
    return file_handler(PAGE_FILES / name)


def swagger_ui_file(name: str) -> Handler:
    """Return the handler of one file of Swagger UI."""
    return file_handler(SWAGGER_UI_FILES / name)


async def openapi_document(_: GatewayDependencies, scope: Scope, __: Receive, send: Send) -> None:
    """Respond with the OpenAPI document of the application, serialized once."""
    state = scope["app"].state
    if (document := getattr(state, "openapi_document", None)) is None:
        content = orjson.dumps(scope["app"].openapi())
        document = state.openapi_document = ConditionalDocument(content, "application/json")
    await document.respond(scope, send)
