"""What happens before any route: who asks, how much may be sent, and under which request id."""

import hmac
from time import perf_counter
from typing import Annotated, get_args

from fastapi import Depends, Request
from starlette.types import ASGIApp, Message, Receive, Scope, Send

from inference.feedback_service.measures import Measures
from inference.feedback_service.service import Person
from inference.http.bodies import read_body
from inference.http.problems import Problem, problem_of, send_problem
from product_classifier.errors import ProductClassifierError
from product_classifier.feedback.records import Role
from product_classifier.observability import request_id, set_request_id

RANKS: dict[Role, int] = {role: rank for rank, role in enumerate(get_args(Role))}
MAX_NAME = 200
OPEN = frozenset({"/healthz", "/readyz", "/metrics"})


class Guard:
    """Refuses who does not know the internal token, and bodies over the limit; counts and times the rest."""

    def __init__(self, app: ASGIApp, token: str, body_limit: int, measures: Measures) -> None:
        self._app = app
        self._token = token.encode()
        self._body_limit = body_limit
        self._measures = measures

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Answer one request."""
        if scope["type"] != "http":
            await self._app(scope, receive, send)
            return
        headers = {name.lower(): value for name, value in scope["headers"]}
        set_request_id(headers.get(b"x-request-id", b"").decode("latin-1"))
        began, status = perf_counter(), 500

        async def answer(message: Message) -> None:
            nonlocal status
            if message["type"] == "http.response.start":
                status = message["status"]
                message["headers"] = [*message["headers"], (b"x-request-id", request_id.get().encode())]
            await send(message)

        try:
            self._check(scope["path"], headers)
            body = await read_body(scope, receive, self._body_limit)
            await self._app(scope, _replayed(body, receive), answer)
        except (Problem, ProductClassifierError) as error:
            await send_problem(answer, problem_of(error), request_id.get())
        finally:
            route = getattr(scope.get("route"), "path", "unknown")
            self._measures.answered(scope["method"], route, status, perf_counter() - began)

    def _check(self, path: str, headers: dict[bytes, bytes]) -> None:
        if path not in OPEN and not hmac.compare_digest(headers.get(b"x-internal-token", b""), self._token):
            raise Problem(401, "only the gateway may call this service", kind="not-the-gateway")


def _replayed(body: bytes, receive: Receive) -> Receive:
    """Return a `receive` that yields a body that was already read, then what follows it."""
    messages = iter([{"type": "http.request", "body": body, "more_body": False}])

    async def replay() -> Message:
        message = next(messages, None)
        return message if message is not None else await receive()

    return replay


async def _person(request: Request) -> Person:
    name = _utf8(request.headers.get("x-auth-user", ""))
    role = request.headers.get("x-auth-role", "")
    if not name or len(name) > MAX_NAME or not name.isprintable():
        raise Problem(401, "the gateway names no user", kind="not-signed-in")
    for known in RANKS:
        if known == role:
            return Person(name, known)
    raise Problem(403, "the gateway names no role of ours", kind="forbidden")


def _utf8(text: str) -> str:
    try:
        return text.encode("latin-1").decode()
    except UnicodeDecodeError:
        return text


def _at_least(needed: Role, person: Person) -> Person:
    if RANKS[person.role] < RANKS[needed]:
        raise Problem(403, f"this needs the role {needed}, not {person.role}", kind="forbidden")
    return person


async def _reviewer(person: "User") -> Person:
    return _at_least("reviewer", person)


async def _admin(person: "User") -> Person:
    return _at_least("admin", person)


User = Annotated[Person, Depends(_person)]
Reviewer = Annotated[Person, Depends(_reviewer)]
Admin = Annotated[Person, Depends(_admin)]
