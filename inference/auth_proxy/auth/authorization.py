"""Authorization and dispatch: every request passes here before anything else runs.

Raw ASGI, because it is on the hot path. In order: path and headers, route, token, role, rate, Content-Length; then the
route's handler. Every exception becomes a problem document, every request one log line.
"""

import logging
import time

from starlette.types import ASGIApp, Message, Receive, Scope, Send

from inference.auth_proxy.auth.login_cookies import session_cookie
from inference.auth_proxy.auth.request_checks import bearer, check_headers, check_path
from inference.auth_proxy.auth.roles import Role
from inference.auth_proxy.auth.session_cookies import SESSION_COOKIE, read_cookie
from inference.auth_proxy.auth.sessions import check_csrf_token
from inference.auth_proxy.auth.tokens import Identity, TokenRejected
from inference.auth_proxy.client_address import client_address
from inference.auth_proxy.collaborators import GatewayDependencies
from inference.auth_proxy.context import RequestContext
from inference.auth_proxy.routing import Rate, Route, RouteTable
from inference.http.bodies import check_content_length
from inference.http.problems import INTERNAL, Problem, problem_of, public_message, send_problem, status_of
from product_classifier.observability import get_logger, set_request_id, set_traceparent
from product_classifier.tracing import span

SECURITY_HEADERS = [
    (b"x-content-type-options", b"nosniff"),
    (b"x-frame-options", b"DENY"),
    (b"referrer-policy", b"no-referrer"),
    (b"cross-origin-resource-policy", b"same-origin"),
]


class AuthorizationMiddleware:
    """Denies every request that the route table does not allow, and calls the handler of those it allows."""

    def __init__(self, app: ASGIApp, *, table: RouteTable, services: GatewayDependencies) -> None:
        self._app = app
        self._table = table
        self._services = services
        self._hosts = frozenset(host.lower().encode() for host in services.settings.allowed_hosts)
        self._log = get_logger()

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        if scope["type"] == "lifespan":
            await self._app(scope, receive, send)
        elif scope["type"] == "http":
            await self._http(scope, receive, send)
        else:
            await send({"type": "websocket.close", "code": 1008})

    async def _http(self, scope: Scope, receive: Receive, send: Send) -> None:
        peer = (scope.get("client") or ("unknown",))[0]
        address = client_address(peer, scope["headers"], self._services.settings.trusted_proxies)
        context = RequestContext(set_request_id(_request_id(scope)), time.perf_counter(), address)
        context.attach(scope)
        set_traceparent(_header(scope, b"traceparent"))
        with span(scope["method"], "server", http__request__method=scope["method"]) as opened:
            await self._serve(scope, context, receive, send)
            if context.route is not None:
                opened.rename(f"{scope['method']} {context.route.path}")
                opened.set("http.route", context.route.path)
            opened.set_status(context.status)

    async def _serve(self, scope: Scope, context: RequestContext, receive: Receive, send: Send) -> None:
        """Authorize the request, call its handler, respond to an error, and record it."""
        reason = ""

        async def respond(message: Message) -> None:
            if message["type"] == "http.response.start":
                context.status = message["status"]
                message["headers"] = _completed(message.get("headers", []), context)
            await send(message)

        try:
            await self._authorize(scope, context)
            await context.matched.handler(self._services, scope, receive, respond)
        except Exception as error:
            if context.status:
                self._log.error("response_aborted", exc_info=True)
                raise
            reason = await self._respond_to(error, scope, context, respond)
        finally:
            if context.reservation is not None:
                context.reservation.release()
            self._record(scope, context, reason)

    async def _respond_to(self, error: Exception, scope: Scope, context: RequestContext, send: Send) -> str:
        """Respond with the problem of an error; return the reason to log.

        Not in the frame that caught the error: a variable there that holds the problem is a reference cycle with its
        traceback, which keeps the body in memory until the garbage collector runs.
        """
        problem = self._problem(error)
        with_error = scope["path"].startswith(("/v1", "/v2"))
        await send_problem(send, problem, context.request_id, with_error=with_error)
        return problem.reason if isinstance(problem, TokenRejected) else problem.detail

    async def _authorize(self, scope: Scope, context: RequestContext) -> None:
        check_path(scope)
        headers = check_headers(scope["headers"], self._hosts)
        context.route, context.parameters = route, _ = self._table.find(scope["method"], scope["path"])
        if route.role is not None:
            authorization = headers.get(b"authorization")
            if authorization is None and b"cookie" in headers:
                await self._identify_session(scope, context)
            else:
                context.identity = await self._services.identify(bearer(authorization))
            user = context.user
            _check_role(user, route, route.role)
            if route.rate is Rate.USER:
                self._services.limits.spend(user.name)
        settings = self._services.settings
        context.body_limit = settings.upload_limit if route.is_upload else min(route.body_limit, settings.body_limit)
        check_content_length(headers, context.body_limit)

    async def _identify_session(self, scope: Scope, context: RequestContext) -> None:
        """Set the user of a session cookie, or raise as for a bearer token."""
        cookie = read_cookie(scope["headers"], SESSION_COOKIE)
        if not cookie:
            bearer(None)
        verified = await self._services.sessions.verify(cookie)
        check_csrf_token(verified.session, scope)
        context.identity, context.session = verified.identity, verified.session
        if verified.new_cookie:
            context.new_cookie = session_cookie(self._services, scope, verified.new_cookie)

    def _problem(self, error: Exception) -> Problem:
        if not isinstance(error, Problem):
            status = status_of(error)
            if status is INTERNAL:
                self._log.error("request_failed", exc_info=error)
            elif status.http >= 500:
                self._log.warning("request_failed", kind=type(error).__name__, reason=str(error))
        return problem_of(error)

    def _record(self, scope: Scope, context: RequestContext, reason: str) -> None:
        seconds = time.perf_counter() - context.started
        route = context.route
        self._services.metrics.count_request(
            route.path if route else "unknown", scope["method"] if route else "other", context.status, seconds
        )
        fields = {"reason": reason} if reason else {}
        self._log.log(
            logging.DEBUG if route and route.probe else logging.INFO,
            "request_completed",
            method=scope["method"],
            path=scope["path"],
            status=context.status,
            ms=round(seconds * 1000, 2),
            user=context.identity.name if context.identity else "",
            **fields,
        )


def _check_role(user: Identity, route: Route, required: Role) -> None:
    """Raise a 403 problem if the user may not call a route."""
    if user.role is None or not user.role.includes(required):
        raise Problem(
            403,
            f"user {public_message(user.name)} does not have the role {required.value!r}; log in as a user who has it",
            kind="role",
        )
    if route.refuses_api_keys and user.is_machine:
        raise Problem(
            403,
            f"API key {public_message(user.name)} cannot change users or API keys, whatever its role;"
            f" log in as a user who has the role {required.value!r}",
            kind="api-key-refused",
        )


def _request_id(scope: Scope) -> str | None:
    for name, value in scope["headers"]:
        if name == b"x-request-id":
            return str(value.decode("latin-1"))
    return None


def _header(scope: Scope, wanted: bytes) -> str:
    for name, value in scope["headers"]:
        if name == wanted:
            return str(value.decode("latin-1"))
    return ""


def _completed(headers: list[tuple[bytes, bytes]], context: RequestContext) -> list[tuple[bytes, bytes]]:
    """Return response headers with the request id, a replaced cookie and the security headers that they lack."""
    present = {name.lower() for name, _ in headers}
    added = [(b"x-request-id", context.request_id.encode()), *SECURITY_HEADERS]
    if context.new_cookie:
        added.append((b"set-cookie", context.new_cookie))
    if b"cache-control" not in present:
        added.append((b"cache-control", b"no-store"))
    return [*headers, *(pair for pair in added if pair[0] not in present)]
