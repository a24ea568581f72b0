"""Routes of the OpenAPI document and of Swagger UI."""

from inference.auth_proxy.documentation.swagger_ui import openapi_document, page_file, swagger_ui_file
from inference.auth_proxy.routing import Handler, Rate, Route


def _file(path: str, handler: Handler) -> Route:
    return Route(method="GET", path=path, handler=handler, role=None, rate=Rate.NONE)


ROUTES: tuple[Route, ...] = (
    _file("/openapi.json", openapi_document),
    _file("/docs", page_file("docs.html")),
    _file("/docs/initializer.js", page_file("initializer.js")),
    _file("/docs/swagger-ui-bundle.js", swagger_ui_file("swagger-ui-bundle.js")),
    _file("/docs/swagger-ui.css", swagger_ui_file("swagger-ui.css")),
)
