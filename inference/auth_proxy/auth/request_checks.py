"""Checks that a request has one meaning: path, query, headers and framing (RFC 9110, RFC 9112)."""

import re

from starlette.types import Scope

from inference.auth_proxy.auth.tokens import NO_CREDENTIALS, TokenRejected
from inference.http.problems import Problem, public_message

MAX_HEADER_BYTES = 16_384
MAX_HEADERS = 100
MAX_PATH = 512
MAX_QUERY = 2048
SINGLE_HEADERS = frozenset({
    b"host", b"content-length", b"transfer-encoding", b"content-type", b"content-encoding", b"authorization",
    b"idempotency-key", b"inference-header-content-length", b"cookie", b"x-csrf-token",
})  # fmt: skip
"""Headers that must not be repeated."""
_PATH = re.compile(rb"/(?!/)[A-Za-z0-9._~:@/-]*")
_DOT_OR_EMPTY_SEGMENT = re.compile(rb"//|/\.{1,2}(?:/|$)")
_HOST = re.compile(rb"(?:[A-Za-z0-9._-]{1,253}|\[[0-9A-Fa-f:.]{2,45}\])(?::[0-9]{1,5})?")
_QUERY = re.compile(rb"[A-Za-z0-9._~:@/?!$&'()*+,;=%\[\]-]*")
_NUMBER = re.compile(rb"[0-9]{1,15}")
_BEARER = re.compile(r"[Bb][Ee][Aa][Rr][Ee][Rr] ([^ ]+)")


def check_path(scope: Scope) -> None:
    """Raise a problem for a path or query with more than one meaning."""
    raw: bytes = scope.get("raw_path") or scope["path"].encode()
    raw = raw.replace(b"%40", b"@")  # user names have an @, which URL encoders encode
    if len(raw) > MAX_PATH:
        raise Problem(414, f"path: has {len(raw)} characters; at most {MAX_PATH} are accepted", close=True)
    if (
        not _PATH.fullmatch(raw)
        or _DOT_OR_EMPTY_SEGMENT.search(raw)
        or raw.count(b":") > 1
        or raw != scope["path"].encode()
    ):
        raise Problem(
            400, f"path: {public_message(raw.decode('latin-1'))} has characters that no route has", kind="bad-path"
        )
    query: bytes = scope.get("query_string", b"")
    if len(query) > MAX_QUERY or not _QUERY.fullmatch(query):
        raise Problem(
            400, f"query: {public_message(query.decode('latin-1'))} is too long or not URL-encoded", kind="bad-query"
        )


def check_headers(pairs: list[tuple[bytes, bytes]], hosts: frozenset[bytes] = frozenset()) -> dict[bytes, bytes]:
    """Return the headers, the last of each name; raise a problem for those with more than one meaning."""
    if len(pairs) > MAX_HEADERS or sum(len(name) + len(value) for name, value in pairs) > MAX_HEADER_BYTES:
        raise Problem(431, f"headers: more than {MAX_HEADERS} of them, or than {MAX_HEADER_BYTES} bytes", close=True)
    headers = dict(pairs)
    if len(headers) != len(pairs):
        _check_repeated(pairs)
    length = headers.get(b"content-length")
    coding = headers.get(b"transfer-encoding")
    if (length is not None and coding is not None) or (coding is not None and coding.strip().lower() != b"chunked"):
        raise _bad_framing("transfer-encoding: must be 'chunked', without content-length")
    if length is not None and not _NUMBER.fullmatch(length):
        raise _bad_framing(f"content-length: {public_message(length.decode('latin-1'))} is not a number")
    host = headers.get(b"host", b"")
    if not _HOST.fullmatch(host) or (hosts and host.rsplit(b":", 1)[0].lower() not in hosts):
        raise Problem(
            400, f"host: {public_message(host.decode('latin-1'))} is not served here", kind="bad-host", close=True
        )
    encoding = headers.get(b"content-encoding", b"identity")
    if encoding.lower() != b"identity":
        sent = public_message(encoding.decode("latin-1"))
        raise Problem(415, f"content-encoding: {sent} is not supported; send the body uncompressed")
    return headers


def bearer(value: bytes | None) -> str:
    """Return the token of an Authorization header (RFC 6750)."""
    if value is None:
        raise Problem(401, "an access token is required; send Authorization: Bearer <token>", headers=NO_CREDENTIALS)
    found = _BEARER.fullmatch(value.decode("latin-1"))
    if found is None:
        raise TokenRejected("authorization: is not a bearer token")
    return found[1]


def _check_repeated(pairs: list[tuple[bytes, bytes]]) -> None:
    seen: set[bytes] = set()
    for name, _ in pairs:
        if name in seen and name in SINGLE_HEADERS:
            raise _bad_framing(f"header {name.decode('latin-1')!r}: is given twice; send it once")
        seen.add(name)


def _bad_framing(reason: str) -> Problem:
    return Problem(400, reason, kind="bad-framing", close=True)
