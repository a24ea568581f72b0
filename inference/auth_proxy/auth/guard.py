"""The door: every request is looked at here before anything else runs.

Raw ASGI, because it stands on the hot path. In order: shape of path and headers, the rule of the route, the token, the
role, the rate; then the application. Every problem on the way out becomes a problem document, every request but
health probes one line in the log.
"""

import logging
import re
import time
from collections.abc import Mapping
from dataclasses import dataclass

from starlette.types import ASGIApp, Message, Receive, Scope, Send

from inference.auth_proxy.auth import roles
from inference.auth_proxy.auth.tokens import Identity, TokenRefused, Verifier
from inference.auth_proxy.metrics import Metrics
from inference.auth_proxy.rate_limits import RateLimits
from inference.http.bodies import check_content_length
from inference.http.problems import Problem, problem_of, public_message, send_problem
from product_classifier.errors import ProductClassifierError
from product_classifier.observability import get_logger, set_request_id

MAX_HEADER_BYTES = 16_384
MAX_HEADERS = 100
MAX_PATH = 512
MAX_QUERY = 2048
ONCE = frozenset({
    b"host", b"content-length", b"transfer-encoding", b"content-type", b"content-encoding", b"authorization",
    b"idempotency-key", b"inference-header-content-length",
})  # fmt: skip
SECURITY_HEADERS = [
    (b"x-content-type-options", b"nosniff"),
    (b"x-frame-options", b"DENY"),
    (b"referrer-policy", b"no-referrer"),
    (b"cross-origin-resource-policy", b"same-origin"),
]
_PATH = re.compile(rb"/(?!/)[A-Za-z0-9._~:@/-]*")
_DOTS_OR_GAPS = re.compile(rb"//|/\.{1,2}(?:/|$)")
_HOST = re.compile(rb"(?:[A-Za-z0-9._-]{1,253}|\[[0-9A-Fa-f:.]{2,45}\])(?::[0-9]{1,5})?")
_QUERY = re.compile(rb"[A-Za-z0-9._~:@/?!$&'()*+,;=%\[\]-]*")
_NUMBER = re.compile(rb"[0-9]{1,15}")
_PROBES = frozenset({"/healthz", "/readyz", "/metrics", "/v2/health/live", "/v2/health/ready"})
"""Asked every few seconds by machines that keep their own record of the answers."""
_BEARER = re.compile(r"[Bb][Ee][Aa][Rr][Ee][Rr] ([^ ]+)")
_NO_CREDENTIALS = {"WWW-Authenticate": 'Bearer realm="product-classifier"'}


@dataclass(slots=True)
class Visit:
    """One request as the door saw it; the application finds it in `scope["visit"]`."""

    request_id: str
    started: float
    rule: roles.Rule | None = None
    identity: Identity | None = None
    status: int = 0

    @property
    def person(self) -> Identity:
        """Return who is asking; only open routes have nobody."""
        if self.identity is None:
            raise Problem(401, "this needs an access token", headers=_NO_CREDENTIALS)
        return self.identity


class Guard:
    """Lets through what the table of roles allows."""

    def __init__(
        self,
        app: ASGIApp,
        *,
        verifier: Verifier,
        limits: RateLimits,
        metrics: Metrics,
        body_limit: int,
        allowed_hosts: tuple[str, ...] = (),
        hot: Mapping[str, ASGIApp] | None = None,
    ) -> None:
        """Guard an application; what `hot` has for a path answers it, past the application's own layers."""
        self._app = app
        self._hot = hot or {}
        self._verifier = verifier
        self._limits = limits
        self._metrics = metrics
        self._body_limit = body_limit
        self._hosts = frozenset(host.lower().encode() for host in allowed_hosts)
        self._log = get_logger()

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        if scope["type"] == "lifespan":
            await self._app(scope, receive, send)
        elif scope["type"] == "http":
            await self._http(scope, receive, send)
        else:
            await send({"type": "websocket.close", "code": 1008})

    async def _http(self, scope: Scope, receive: Receive, send: Send) -> None:
        visit = Visit(set_request_id(_given_id(scope)), time.perf_counter())
        scope["visit"] = visit
        reason = ""

        async def answer(message: Message) -> None:
            if message["type"] == "http.response.start":
                visit.status = message["status"]
                message["headers"] = _finished(message.get("headers", []), visit.request_id)
            await send(message)

        try:
            await self._admit(scope, visit)
            await self._hot.get(scope["path"], self._app)(scope, receive, answer)
        except Exception as error:
            if visit.status:
                self._log.error("answer_broke_off", exc_info=True)
                raise
            problem = self._explain(error)
            reason = problem.reason if isinstance(problem, TokenRefused) else problem.detail
            protocol = scope["path"].startswith(("/v1", "/v2"))
            await send_problem(answer, problem, visit.request_id, with_error=protocol)
        finally:
            self._account(scope, visit, reason)

    async def _admit(self, scope: Scope, visit: Visit) -> None:
        check_path(scope)
        headers = check_headers(scope["headers"], self._hosts)
        visit.rule = rule = roles.find(scope["method"], scope["path"])
        if rule.role is not None:
            visit.identity = identity = await self._verifier.verify(bearer(headers.get(b"authorization")))
            if identity.role is None or not identity.role.includes(rule.role):
                raise Problem(
                    403, f"{public_message(identity.name)} needs the role {rule.role.value!r} for this", kind="role"
                )
            self._limits.spend(identity.name)
        check_content_length(headers, self._body_limit)

    def _explain(self, error: Exception) -> Problem:
        if isinstance(error, Problem):
            return error
        if isinstance(error, ProductClassifierError):
            problem = problem_of(error)
            if problem.status < 500:
                return problem
            self._log.warning("could_not_answer", kind=type(error).__name__, reason=str(error))
            return problem
        self._log.error("unexpected_error", exc_info=error)
        return problem_of(ProductClassifierError())

    def _account(self, scope: Scope, visit: Visit, reason: str) -> None:
        seconds = time.perf_counter() - visit.started
        template = visit.rule.template if visit.rule else "unknown"
        self._metrics.answered(template, scope["method"] if visit.rule else "other", visit.status, seconds)
        fields = {"reason": reason} if reason else {}
        self._log.log(
            logging.DEBUG if scope["path"] in _PROBES else logging.INFO,
            "request",
            method=scope["method"],
            path=scope["path"],
            status=visit.status,
            ms=round(seconds * 1000, 2),
            user=visit.identity.name if visit.identity else "",
            **fields,
        )


def check_path(scope: Scope) -> None:
    """Refuse every path with more than one reading."""
    raw: bytes = scope.get("raw_path") or scope["path"].encode()
    if len(raw) > MAX_PATH:
        raise Problem(414, f"the path has {len(raw)} characters, more than {MAX_PATH}", close=True)
    if not _PATH.fullmatch(raw) or _DOTS_OR_GAPS.search(raw) or raw.count(b":") > 1 or raw != scope["path"].encode():
        raise Problem(
            400, f"the path {public_message(raw.decode('latin-1'))} has characters no route here has", kind="bad-path"
        )
    query: bytes = scope.get("query_string", b"")
    if len(query) > MAX_QUERY or not _QUERY.fullmatch(query):
        raise Problem(
            400, f"the query {public_message(query.decode('latin-1'))} is too long or not URL-encoded", kind="bad-query"
        )


def check_headers(pairs: list[tuple[bytes, bytes]], hosts: frozenset[bytes] = frozenset()) -> dict[bytes, bytes]:
    """Return the headers, the last of each; refuse those that could be read in two ways."""
    if len(pairs) > MAX_HEADERS or sum(len(name) + len(value) for name, value in pairs) > MAX_HEADER_BYTES:
        raise Problem(431, f"more than {MAX_HEADERS} headers or {MAX_HEADER_BYTES} bytes of them", close=True)
    headers = dict(pairs)
    if len(headers) != len(pairs):
        _check_repeated(pairs)
    length = headers.get(b"content-length")
    coding = headers.get(b"transfer-encoding")
    if (length is not None and coding is not None) or (coding is not None and coding.strip().lower() != b"chunked"):
        raise _bad_framing("transfer-encoding must be 'chunked', without content-length")
    if length is not None and not _NUMBER.fullmatch(length):
        raise _bad_framing(f"content-length {public_message(length.decode('latin-1'))} is not a number")
    host = headers.get(b"host", b"")
    if not _HOST.fullmatch(host) or (hosts and host.rsplit(b":", 1)[0].lower() not in hosts):
        raise Problem(
            400, f"host {public_message(host.decode('latin-1'))} is not served here", kind="bad-host", close=True
        )
    if headers.get(b"content-encoding", b"identity").lower() != b"identity":
        raise Problem(
            415,
            f"content-encoding {public_message(headers[b'content-encoding'].decode('latin-1'))}: send it uncompressed",
        )
    return headers


def bearer(value: bytes | None) -> str:
    """Return the token of an Authorization header."""
    if value is None:
        raise Problem(401, "this needs an access token: Authorization: Bearer …", headers=_NO_CREDENTIALS)
    found = _BEARER.fullmatch(value.decode("latin-1"))
    if found is None:
        raise TokenRefused("not a bearer token")
    return found[1]


def _check_repeated(pairs: list[tuple[bytes, bytes]]) -> None:
    seen: set[bytes] = set()
    for name, _ in pairs:
        if name in seen and name in ONCE:
            raise _bad_framing(f"the header {name.decode('latin-1')!r} is given twice")
        seen.add(name)


def _bad_framing(reason: str) -> Problem:
    return Problem(400, reason, kind="bad-framing", close=True)


def _given_id(scope: Scope) -> str | None:
    for name, value in scope["headers"]:
        if name == b"x-request-id":
            return str(value.decode("latin-1"))
    return None


def _finished(headers: list[tuple[bytes, bytes]], request_id: str) -> list[tuple[bytes, bytes]]:
    present = {name.lower() for name, _ in headers}
    added = [(b"x-request-id", request_id.encode()), *SECURITY_HEADERS]
    if b"cache-control" not in present:
        added.append((b"cache-control", b"no-store"))
    return [*headers, *(pair for pair in added if pair[0] not in present)]
