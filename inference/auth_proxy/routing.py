"""A route as one row of a table, and the lookup of the route of a request."""

import re
from collections.abc import Awaitable, Callable, Iterable, Mapping
from dataclasses import dataclass, field, replace
from difflib import get_close_matches
from enum import Enum
from typing import TYPE_CHECKING, Any

from pydantic import BaseModel, TypeAdapter
from starlette.types import Receive, Scope, Send

from inference.auth_proxy.auth.api_keys import KEY_ID
from inference.auth_proxy.auth.roles import Role
from inference.auth_proxy.auth.users import USER_NAME
from inference.auth_proxy.media_types import JSON
from inference.feedback_api import IDENTIFIER
from inference.http.problems import Problem, public_message
from inference.photo_api import SHA256
from product_classifier.audit.audit_events import AuditAction
from product_classifier.limits import BODY_BYTES
from product_classifier.model_names import MODELS
from product_classifier.release_history.release_records import RELEASE_ID
from product_classifier.retraining.run_records import RunId

if TYPE_CHECKING:
    from inference.auth_proxy.collaborators import GatewayDependencies

MAX_COMPARED = 40
"""Longest path that is compared with those of the routes, which is quadratic."""

PATH_PARAMETERS: Mapping[str, str] = {
    "model": "|".join(MODELS),
    "version": r"[A-Za-z0-9][A-Za-z0-9._-]{0,127}",
    "name": USER_NAME,
    "id": IDENTIFIER.strip("^$"),
    "sha256": SHA256,
    "key_id": KEY_ID,
    "release": RELEASE_ID.strip("^$"),
    "file": r"[a-z-]+(?:/[a-z-]+)?\.(?:css|js)",
    "run_id": str(TypeAdapter(RunId).json_schema()["pattern"]).strip("^$"),
}
"""Pattern of each parameter; a path that does not match is no route (404)."""


Handler = Callable[["GatewayDependencies", Scope, Receive, Send], Awaitable[None]]
"""An ASGI application that is given the services of the gateway."""


class Rate(Enum):
    """Which limit a request counts against."""

    NONE = "none"
    USER = "user"
    LOGIN = "login"


@dataclass(frozen=True, slots=True)
class DocumentedResponse:
    """A documented response: its description, the type of its body and the media types it has."""

    description: str
    body: Any = None
    media_types: tuple[str, ...] = (JSON,)
    headers: Mapping[str, str] = field(default_factory=dict)
    example: Any = None


@dataclass(frozen=True, slots=True, kw_only=True)
class Route:
    """A row of the table; authorization, dispatch and the OpenAPI document are derived from it."""

    method: str
    path: str
    handler: Handler
    role: Role | None
    """Lowest role that may call it; None is open to everybody."""
    operation_id: str = ""
    """Name of a client's method; a route without one is a page and not in the OpenAPI document."""
    tag: str = ""
    summary: str = ""
    request: Mapping[str, Any] = field(default_factory=dict)
    """Type of the body by media type; empty: no body is read."""
    request_required: bool = True
    query: type[BaseModel] | None = None
    headers: Mapping[str, Any] = field(default_factory=dict)
    """Type of each optional request header."""
    responses: Mapping[int, DocumentedResponse] = field(default_factory=dict)
    """Successes first; the first status is the default of a JSON handler."""
    problems: tuple[int, ...] = ()
    """Statuses of problems beyond those that follow from role, rate, parameters and body."""
    rate: Rate = Rate.USER
    body_limit: int = BODY_BYTES
    is_upload: bool = False
    """Whether the body is a file that is streamed; its limit is a setting."""
    embedded_issuer: bool = False
    """Whether the route exists only with the embedded issuer."""
    api_keys: bool = False
    """Whether the route exists only where API keys are accepted."""
    refuses_api_keys: bool = False
    """Whether API keys are refused, whatever their role: one that leaked must not outlive its deletion."""
    audit: AuditAction | None = None
    """Action that a forwarded request is recorded as; handlers of the gateway's own routes record theirs."""
    probe: bool = False
    """Whether machines call it every few seconds: logged at level debug."""

    @property
    def parameters(self) -> list[str]:
        """Return the names of the path parameters, in order."""
        return re.findall(r"\{(\w+)\}", self.path)


class RouteTable:
    """Finds the route of a request.

    One dictionary lookup for paths without parameters and for those with the name of a model.
    """

    def __init__(self, routes: Iterable[Route]) -> None:
        self.routes = tuple(routes)
        self._exact: dict[str, dict[str, Route]] = {}
        self._patterns: dict[str, tuple[re.Pattern[str], dict[str, Route]]] = {}
        for route in (concrete for row in self.routes for concrete in each_model(row)):
            if route.parameters:
                self._patterns.setdefault(route.path, (_pattern(route.path), {}))[1][route.method] = route
            else:
                self._exact.setdefault(route.path, {})[route.method] = route

    def find(self, method: str, path: str) -> tuple[Route, Mapping[str, str]]:
        """Return the route and its path parameters; raise a 404 or 405 problem if there is none."""
        parameters: Mapping[str, str] = {}
        methods = self._exact.get(path)
        if methods is None:
            methods, parameters = self._match(path)
        try:
            return methods[method], parameters
        except KeyError:
            if method == "HEAD" and "GET" in methods:  # RFC 9110, section 9.3.2: as GET; the server sends no body
                return methods["GET"], parameters
            allow = ", ".join(sorted({*methods, "HEAD"} if "GET" in methods else methods))
            raise Problem(
                405,
                f"method {public_message(method)} is not allowed at {path[:100]!r}; use {allow}",
                headers={"Allow": allow},
            ) from None

    def _match(self, path: str) -> tuple[dict[str, Route], dict[str, str]]:
        for pattern, methods in self._patterns.values():
            if found := pattern.fullmatch(path):
                return methods, found.groupdict()
        raise Problem(404, f"no route has the path {path[:100]!r}; {self._advice(path)}")

    def _advice(self, path: str) -> str:
        """Return what to do about a path without a route: a similar path that has one, else where all are listed."""
        plain = path.rstrip("/")
        for similar in (plain, plain.lower()):
            if similar in self._exact or any(pattern.fullmatch(similar) for pattern, _ in self._patterns.values()):
                return f"use {similar[:100]!r}"
        close = get_close_matches(plain.lower(), self._exact, n=1, cutoff=0.8) if len(plain) <= MAX_COMPARED else []
        return f"did you mean {close[0]!r}? /openapi.json lists all" if close else "/openapi.json lists them"


def each_model(route: Route) -> list[Route]:
    """Return one route per model if the path has the parameter `model`, else the route itself."""
    if "{model}" not in route.path:
        return [route]
    return [replace(route, path=route.path.replace("{model}", model)) for model in MODELS]


def _pattern(path: str) -> re.Pattern[str]:
    parts = re.split(r"\{(\w+)\}", path)
    return re.compile(
        "".join(f"(?P<{part}>{PATH_PARAMETERS[part]})" if i % 2 else re.escape(part) for i, part in enumerate(parts))
    )
