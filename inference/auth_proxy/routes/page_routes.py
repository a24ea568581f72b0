"""Routes of the workbench's files."""

from inference.auth_proxy.routing import Handler, Rate, Route
from inference.auth_proxy.workbench.static_files import page, workbench_file


def _file(path: str, handler: Handler) -> Route:
    return Route(method="GET", path=path, handler=handler, role=None, rate=Rate.NONE)


ROUTES: tuple[Route, ...] = (
    _file("/", page("index.html")),
    _file("/workbench/{file}", workbench_file),
    _file("/favicon.ico", page("favicon.svg")),
)
