"""What the gateway knows about the request it is serving."""

from collections.abc import Mapping
from dataclasses import dataclass, field

from starlette.types import Scope

from inference.auth_proxy.audit.audit_log import Requester
from inference.auth_proxy.auth.session_cookies import Session
from inference.auth_proxy.auth.tokens import NO_CREDENTIALS, Identity
from inference.auth_proxy.routing import Route
from inference.http.body_budget import BodyReservation
from inference.http.problems import Problem
from inference.http.request_user import USER_HEADER

_KEY = "product_classifier.request_context"


@dataclass(slots=True)
class RequestContext:
    """Route, path parameters, user and response status of one request."""

    request_id: str
    started: float
    """Seconds of `time.perf_counter`."""
    client_address: str
    route: Route | None = None
    parameters: Mapping[str, str] = field(default_factory=dict)
    identity: Identity | None = None
    """None on open routes."""
    session: Session | None = None
    """None without a session cookie, and with a bearer token."""
    new_cookie: bytes = b""
    """`Set-Cookie` header of a session whose cookie is replaced."""
    body_limit: int = 0
    """Bytes the body of this request may have."""
    status: int = 0
    reservation: BodyReservation | None = None
    """Memory of the body; None before it is read."""

    @property
    def matched(self) -> Route:
        """Return the route; a handler runs only if there is one."""
        if self.route is None:
            raise TypeError("no route was matched")
        return self.route

    @property
    def user(self) -> Identity:
        """Return the authenticated user; raise a 401 problem on an open route."""
        if self.identity is None:
            raise Problem(401, "an access token is required", headers=NO_CREDENTIALS)
        return self.identity

    @property
    def requester(self) -> Requester:
        """Return who sent the request, for the audit log."""
        return Requester(self.identity, self.client_address, self.request_id)

    def attach(self, scope: Scope) -> None:
        """Make this the context of the request with this scope."""
        scope[_KEY] = self


def context_of(scope: Scope) -> RequestContext:
    """Return the context that the authorization middleware attached to a request."""
    context: RequestContext = scope[_KEY]
    return context


def forwarded_headers(scope: Scope, names: Mapping[bytes, str]) -> dict[str, str]:
    """Return the headers for a service: those in `names`, the request id, and the identity of the user."""
    context = context_of(scope)
    user = context.user
    return {
        **{names[name]: value.decode("latin-1") for name, value in scope["headers"] if name in names},
        "X-Request-Id": context.request_id,
        USER_HEADER: user.name,
        "X-Auth-Role": user.role.value if user.role else "",
    }
