"""ASGI middleware: internal token, body size, request id and metrics of every request."""

import hmac
from time import perf_counter

from starlette.types import ASGIApp, Message, Receive, Scope, Send

from inference.feedback_service.feedback_metrics import FeedbackMetrics
from inference.http.bodies import BODY_TIMEOUT_S, check_structure, read_body
from inference.http.body_budget import BodyReservation, body_budget
from inference.http.problems import Problem, problem_of, send_problem
from inference.http.public_paths import PREFIX_HEADER, set_public_prefix
from product_classifier.errors import ProductClassifierError
from product_classifier.limits import MIB
from product_classifier.observability import request_id, set_request_id, set_traceparent
from product_classifier.tracing import span

BODY_MEMORY = 192 * MIB
"""Bytes of the bodies of requests in progress."""
OPEN_PATHS = frozenset({"/healthz", "/readyz", "/metrics"})
BATCHES_PATH = "/batches"
IMPORT_PATH = "/feedback/import"
"""Bodies of the two are files, which the routes read in parts."""
CHANGES_PATH = "/taxonomy/changes"
"""Its bodies have more values than those of other routes, and are checked in a thread."""


class InternalMiddleware:
    """Accepts only requests that carry the internal token, with bodies within the limit."""

    def __init__(self, app: ASGIApp, token: str, body_limit: int, metrics: FeedbackMetrics) -> None:
        self._app = app
        self._token = token.encode()
        self._body_limit = body_limit
        self._metrics = metrics
        self._budget = body_budget(BODY_MEMORY)

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Handle one request; each response carries the request id."""
        if scope["type"] != "http":
            await self._app(scope, receive, send)
            return
        headers = {name.lower(): value for name, value in scope["headers"]}
        set_request_id(headers.get(b"x-request-id", b"").decode("latin-1"))
        set_traceparent(headers.get(b"traceparent", b"").decode("latin-1"))
        set_public_prefix(headers.get(PREFIX_HEADER.lower().encode(), b"").decode("latin-1"))
        with span(scope["method"], "server", http__request__method=scope["method"]) as opened:
            route, status = await self._serve(scope, headers, receive, send)
            opened.rename(f"{scope['method']} {route}")
            opened.set("http.route", route)
            opened.set_status(status)

    async def _serve(self, scope: Scope, headers: dict[bytes, bytes], receive: Receive, send: Send) -> tuple[str, int]:
        """Authenticate and serve a request; return its route, `unknown` without one, and the status."""
        began, status = perf_counter(), 500
        reservation = BodyReservation(self._budget, headers.get(b"x-auth-user", b"").decode("latin-1"))

        async def send_with_id(message: Message) -> None:
            nonlocal status
            if message["type"] == "http.response.start":
                status = message["status"]
                message["headers"] = [*message["headers"], (b"x-request-id", request_id.get().encode())]
            await send(message)

        try:
            self._authenticate(scope["path"], headers)
            if scope["path"] in {BATCHES_PATH, IMPORT_PATH}:
                await self._app(scope, receive, send_with_id)
            else:
                body = await read_body(scope, receive, self._body_limit, BODY_TIMEOUT_S, reservation)
                if scope["path"] != CHANGES_PATH:
                    check_structure(body)  # before FastAPI parses it on the event loop
                await self._app(scope, _receive_again(body, receive), send_with_id)
        except (Problem, ProductClassifierError) as error:
            await _respond_to(error, send_with_id)
        finally:
            reservation.release()
            route = getattr(scope.get("route"), "path", "unknown")
            method = scope["method"] if route != "unknown" else "other"
            self._metrics.responded(method, route, status, perf_counter() - began)
        return route, status

    def _authenticate(self, path: str, headers: dict[bytes, bytes]) -> None:
        if path not in OPEN_PATHS and not hmac.compare_digest(headers.get(b"x-internal-token", b""), self._token):
            raise Problem(401, "X-Internal-Token: missing or wrong; only the gateway has it", kind="not-the-gateway")


async def _respond_to(error: Exception, send: Send) -> None:
    """Respond with the problem of an error.

    Not in the frame that caught the error: a variable there that holds the problem is a reference cycle with its
    traceback, which keeps the body in memory until the garbage collector runs.
    """
    problem = problem_of(error)
    if problem.status == 413:  # the rest of the body is not read
        problem.headers["Connection"] = "close"
    await send_problem(send, problem, request_id.get())


def _receive_again(body: bytes, receive: Receive) -> Receive:
    """Return a `receive` that yields a body that was already read, then what follows it."""
    messages = iter([{"type": "http.request", "body": body, "more_body": False}])

    async def receive_again() -> Message:
        message = next(messages, None)
        return message if message is not None else await receive()

    return receive_again
