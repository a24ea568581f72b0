"""What happens before any route: who asks, how much may be sent, and under which request id."""

import hmac
from time import perf_counter
from typing import Annotated, get_args

from fastapi import Depends, Request
from starlette.exceptions import HTTPException
from starlette.types import ASGIApp, Message, Receive, Scope, Send

from inference.feedback_service.measures import Measures
from inference.feedback_service.service import Person
from inference.http.problem_document import Problem, send_problem
from product_classifier.feedback.records import Role
from product_classifier.observability import request_id, use_request_id

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
        use_request_id(headers.get(b"x-request-id", b"").decode("latin-1"))
        began, status = perf_counter(), 500

        async def answer(message: Message) -> None:
            nonlocal status
            if message["type"] == "http.response.start":
                status = message["status"]
                message["headers"] = [*message["headers"], (b"x-request-id", request_id.get().encode())]
            await send(message)

        try:
            self._check(scope["path"], headers)
            await self._app(scope, self._bounded(receive), answer)
        except Problem as problem:
            await send_problem(answer, problem, request_id.get())
        finally:
            route = getattr(scope.get("route"), "path", "unknown")
            self._measures.answered(scope["method"], route, status, perf_counter() - began)

    def _check(self, path: str, headers: dict[bytes, bytes]) -> None:
        if path not in OPEN and not hmac.compare_digest(headers.get(b"x-internal-token", b""), self._token):
            raise Problem(401, "only the gateway may call this service", kind="not-the-gateway")
        length = headers.get(b"content-length", b"0")
        if length.isdigit() and int(length) > self._body_limit:
            raise self._too_large()

    def _bounded(self, receive: Receive) -> Receive:
        size = 0

        async def bounded() -> Message:
            nonlocal size
            message = await receive()
            size += len(message.get("body", b""))
            if size > self._body_limit:
                raise HTTPException(413, self._too_large().detail)
            return message

        return bounded

    def _too_large(self) -> Problem:
        return Problem(413, f"the body is longer than {self._body_limit} bytes", kind="body-too-large", close=True)


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
