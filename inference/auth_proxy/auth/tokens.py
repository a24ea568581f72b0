"""Access tokens (RFC 9068): issued and verified by the rules of RFC 8725."""

import base64
import binascii
import re
import secrets
import time
from collections.abc import Callable, Collection, Mapping
from dataclasses import dataclass
from typing import Any, Protocol

import jwt
from cryptography.hazmat.primitives.asymmetric.ec import EllipticCurvePublicKey
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PublicKey
from cryptography.hazmat.primitives.asymmetric.rsa import RSAPublicKey

from inference.auth_proxy.auth.keys import KeyRing
from inference.auth_proxy.auth.roles import Role
from inference.auth_proxy.auth.users import User, UserStore
from inference.http.bodies import strict_json
from inference.http.problems import Problem

NO_CREDENTIALS = {"WWW-Authenticate": 'Bearer realm="product-classifier"'}
PublicKey = RSAPublicKey | EllipticCurvePublicKey | Ed25519PublicKey

ALGORITHM = "RS256"
TYPE = "at+jwt"
LEEWAY_S = 30
MAX_SET_BACK_S = 86_400
"""Largest step by which the clock may be set back without rejecting tokens issued before."""
MAX_TIME = 1e12
"""Seconds since 1970 of a claim; far above any date, far below what a float cannot hold."""
MAX_CHARACTERS = 8192
MAX_KID_CHARACTERS = 128
CACHED_TOKENS = 4096
"""Tokens whose signature is not verified again; user, key and expiry are checked at every request."""
REQUIRED_CLAIMS = ("exp", "iat", "iss", "aud", "sub")
_SHAPE = re.compile(r"[A-Za-z0-9_-]{2,}\.[A-Za-z0-9_-]{2,}\.[A-Za-z0-9_-]{2,}")

_SUBJECT = re.compile(r"[\x21-\x7e]{1,255}")


@dataclass(frozen=True, slots=True)
class Identity:
    """The user a token was issued to; `role` None is a user of the issuer who has no role here."""

    name: str
    role: Role | None
    is_machine: bool = False
    """Whether it was an API key."""


class WallClock:
    """Wall time, which an administrator or NTP may set back."""

    def __init__(self, wall: Callable[[], float] = time.time, monotonic: Callable[[], float] = time.monotonic) -> None:
        self._wall = wall
        self._monotonic = monotonic
        self._offset = wall() - monotonic()

    def now(self) -> float:
        """Return the wall time."""
        return self._wall()

    def latest(self) -> float:
        """Return the wall time as if it had never been set back, at most `MAX_SET_BACK_S` more than it is.

        Tokens that were issued before it was set back were not issued in the future.
        """
        wall, elapsed = self._wall(), self._monotonic()
        self._offset = max(self._offset, wall - elapsed)
        return min(self._offset + elapsed, wall + MAX_SET_BACK_S)


class Verifier(Protocol):
    """Verifies bearer tokens."""

    async def verify(self, token: str) -> Identity:
        """Return the identity of the user; raise `TokenRejected` if the token is not valid."""


class TokenRejected(Problem):
    """A token is not valid; the reason is logged and not sent to the client."""

    def __init__(self, reason: str, detail: str = "the access token is not valid") -> None:
        super().__init__(
            401,
            detail,
            kind="invalid-token",
            headers={"WWW-Authenticate": 'Bearer realm="product-classifier", error="invalid_token"'},
        )
        self.reason = reason


class TokenExpired(TokenRejected):
    """A token with a valid signature has expired; the detail says so, as a new login resolves it."""

    def __init__(self) -> None:
        super().__init__("the token has expired", "the access token has expired; log in again for a new one")


class EmbeddedIssuer:
    """Signs tokens and verifies them against the current state of the user."""

    def __init__(
        self,
        keys: KeyRing,
        users: UserStore,
        *,
        issuer: str,
        audience: str,
        ttl_s: int,
        clock: WallClock | None = None,
    ) -> None:
        self.keys = keys
        self.users = users
        self.ttl_s = ttl_s
        self._issuer = issuer
        self._audience = audience
        self._clock = clock or WallClock()
        self._verified: dict[str, tuple[str, dict[str, Any]]] = {}

    def issue(self, user: User) -> str:
        """Return a token for this user in the current state."""
        now = int(self._clock.now())
        key = self.keys.signing()
        if key.private is None:
            raise TokenRejected("no key can sign")
        claims = {
            "iss": self._issuer,
            "aud": self._audience,
            "sub": user.name,
            "iat": now,
            "exp": now + self.ttl_s,
            "jti": secrets.token_urlsafe(12),
            "role": user.role.value,
            "gen": user.generation,
        }
        return jwt.encode(claims, key.private, algorithm=ALGORITHM, headers={"kid": key.kid, "typ": TYPE})

    async def verify(self, token: str) -> Identity:
        """Return the identity of the user, whose state must be that at which the token was issued."""
        kid, claims = self._verified.get(token) or self._verify(token)
        if self.keys.find(kid) is None:
            raise TokenRejected("the key was revoked")
        if claims["exp"] <= self._clock.now() - LEEWAY_S:
            raise TokenExpired
        user = self.users.get(claims["sub"])
        if user is None or user.disabled:
            raise TokenRejected("the user was deleted or disabled")
        if claims.get("gen") != user.generation or claims.get("role") != user.role.value:
            raise TokenRejected("the user changed after the token was issued")
        return Identity(user.name, user.role)

    def _verify(self, token: str) -> tuple[str, dict[str, Any]]:
        """Verify what cannot change about a token, and cache the result."""
        header = read_header(token)
        if set(header) != {"alg", "kid", "typ"} or header["alg"] != ALGORITHM or header["typ"] != TYPE:
            raise TokenRejected("header: alg, kid and typ must be those of the embedded issuer")
        key = self.keys.find(header["kid"])
        if key is None:
            raise TokenRejected("unknown key")
        claims = read_claims(
            token, key.public, [ALGORITHM], self._clock, issuer=self._issuer, audience=self._audience, strict=True
        )
        if claims["exp"] - claims["iat"] > self.ttl_s:
            raise TokenRejected("exp: the token is valid for longer than this issuer allows")
        if len(self._verified) >= CACHED_TOKENS:
            self._verified.clear()
        self._verified[token] = header["kid"], claims
        return self._verified[token]


def read_header(token: str, *, typ_required: bool = True) -> dict[str, Any]:
    """Return the header of a token in canonical base64url with `alg`, `kid` and `typ`, without extensions.

    Without `typ_required` a missing `typ` is returned as an empty one.
    """
    if len(token) > MAX_CHARACTERS or not _SHAPE.fullmatch(token):
        raise TokenRejected("the token is not three base64url parts")
    header, payload, signature = (_decode(part) for part in token.split("."))
    if not payload or not signature:
        raise TokenRejected("the token has an empty part")
    try:
        fields = strict_json(header, max_depth=2)
    except Problem as problem:
        raise TokenRejected(f"header: {problem.detail}") from problem
    if not isinstance(fields, dict) or "crit" in fields or "b64" in fields:
        raise TokenRejected("header: must be an object without crit and b64")
    if not typ_required:
        fields.setdefault("typ", "")
    if any(not isinstance(fields.get(name), str) for name in ("alg", "kid", "typ")):
        raise TokenRejected("header: alg, kid and typ must be text")
    if not 0 < len(fields["kid"]) <= MAX_KID_CHARACTERS:
        raise TokenRejected("kid: must have 1 to 128 characters")
    return fields


def read_claims(
    token: str,
    key: PublicKey,
    algorithms: Collection[str],
    clock: WallClock,
    *,
    issuer: str | list[str],
    audience: str,
    strict: bool = False,
) -> dict[str, Any]:
    """Return the claims after checking signature, times, issuer, audience and types."""
    try:
        claims: dict[str, Any] = jwt.decode(
            token,
            key,
            algorithms=list(algorithms),
            issuer=issuer,
            audience=audience,
            options={
                "require": list(REQUIRED_CLAIMS),
                "strict_aud": strict,
                "enforce_minimum_key_length": True,
                "verify_exp": False,  # these three by `_check_times`
                "verify_iat": False,
                "verify_nbf": False,
            },
        )
        strict_json(_decode(token.split(".")[1]), max_depth=8)
    except (jwt.PyJWTError, Problem, ValueError, TypeError) as error:
        raise TokenRejected(f"{type(error).__name__}: {error}") from error
    _check_times(claims, clock)
    if not _SUBJECT.fullmatch(claims["sub"]):
        raise TokenRejected("sub: must be 1 to 255 printable ASCII characters")
    return claims


def _check_times(claims: Mapping[str, Any], clock: WallClock) -> None:
    times = {name: claims[name] for name in ("exp", "iat", "nbf") if name in claims}
    if any(type(moment) not in {int, float} or not 0 <= moment < MAX_TIME for moment in times.values()):
        raise TokenRejected("exp, iat and nbf must be numbers of seconds since 1970")
    if times["exp"] <= clock.now() - LEEWAY_S:
        raise TokenExpired
    if max(times["iat"], times.get("nbf", 0)) > clock.latest() + LEEWAY_S:
        raise TokenRejected("iat or nbf: is in the future")
    if times["iat"] > times["exp"]:
        raise TokenRejected("exp: precedes iat")


def _decode(part: str) -> bytes:
    try:
        data = base64.urlsafe_b64decode(part + "=" * (-len(part) % 4))
    except (binascii.Error, ValueError) as error:
        raise TokenRejected("a part is not base64url") from error
    if base64.urlsafe_b64encode(data).rstrip(b"=").decode() != part:
        # several last characters decode to the same bytes: accepting all would give one token several spellings
        raise TokenRejected("a part is not canonical base64url")
    return data
