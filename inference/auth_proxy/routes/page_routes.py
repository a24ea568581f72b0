"""Routes of the web console."""

from inference.auth_proxy.console.static_files import page
from inference.auth_proxy.routing import Rate, Route


def _page(path: str, file: str) -> Route:
    return Route(method="GET", path=path, handler=page(file), role=None, rate=Rate.NONE)


ROUTES: tuple[Route, ...] = (
    _page("/", "index.html"),
    _page("/console/app.js", "app.js"),
    _page("/console/style.css", "style.css"),
    _page("/favicon.ico", "favicon.svg"),
)
