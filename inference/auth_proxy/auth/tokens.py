"""Access tokens: issued by us, verified by the rules of RFC 8725."""

import base64
import binascii
import re
import secrets
import time
from collections.abc import Collection
from dataclasses import dataclass
from typing import Any, Protocol

import jwt
from cryptography.hazmat.primitives.asymmetric.ec import EllipticCurvePublicKey
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PublicKey
from cryptography.hazmat.primitives.asymmetric.rsa import RSAPublicKey

from inference.auth_proxy.auth.keys import KeyRing
from inference.auth_proxy.auth.roles import Role
from inference.auth_proxy.auth.users import User, Users
from inference.http.bodies import strict_json
from inference.http.problems import Problem

PublicKey = RSAPublicKey | EllipticCurvePublicKey | Ed25519PublicKey

ALGORITHM = "RS256"
TYPE = "at+jwt"
LEEWAY_S = 30
MAX_CHARACTERS = 8192
MAX_KID_CHARACTERS = 128
REMEMBERED = 4096
"""Tokens whose signature need not be computed again; account, key and expiry are looked at every time."""
REQUIRED = ("exp", "iat", "iss", "aud", "sub")
_SHAPE = re.compile(r"[A-Za-z0-9_-]{2,}\.[A-Za-z0-9_-]{2,}\.[A-Za-z0-9_-]{2,}")

_SUBJECT = re.compile(r"[\x21-\x7e]{1,255}")


@dataclass(frozen=True, slots=True)
class Identity:
    """Who is asking; `role` None is a person of the issuer without a role here."""

    name: str
    role: Role | None


class Verifier(Protocol):
    """Turns a bearer token into an identity, or raises `TokenRefused`."""

    async def verify(self, token: str) -> Identity:
        """Return who the token speaks for."""


class TokenRefused(Problem):
    """A token is not good; the reason stays in the log, the caller learns only that."""

    def __init__(self, reason: str) -> None:
        super().__init__(
            401,
            "the access token is not valid",
            kind="invalid-token",
            headers={"WWW-Authenticate": 'Bearer realm="product-classifier", error="invalid_token"'},
        )
        self.reason = reason


class EmbeddedIssuer:
    """Signs tokens for our users and verifies them against the state of the account."""

    def __init__(self, keys: KeyRing, users: Users, *, issuer: str, audience: str, ttl_s: int) -> None:
        self.keys = keys
        self.users = users
        self.ttl_s = ttl_s
        self._issuer = issuer
        self._audience = audience
        self._verified: dict[str, tuple[str, dict[str, Any]]] = {}

    def issue(self, user: User) -> str:
        """Return a token for this account, in its present state."""
        now = int(time.time())
        key = self.keys.signing()
        if key.private is None:
            raise TokenRefused("no signing key")
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
        """Return the account the token speaks for, as it is now."""
        kid, claims = self._verified.get(token) or self._verify(token)
        if self.keys.find(kid) is None or claims["exp"] <= time.time() - LEEWAY_S:
            raise TokenRefused("expired, or its key was withdrawn")
        user = self.users.get(claims["sub"])
        if user is None or user.disabled:
            raise TokenRefused("account is gone")
        if claims.get("gen") != user.generation or claims.get("role") != user.role.value:
            raise TokenRefused("account changed after the token was issued")
        return Identity(user.name, user.role)

    def _verify(self, token: str) -> tuple[str, dict[str, Any]]:
        """Check everything about a token that cannot change any more, and remember that it was good."""
        header = read_header(token)
        if set(header) != {"alg", "kid", "typ"} or header["alg"] != ALGORITHM or header["typ"] != TYPE:
            raise TokenRefused("header is not one of ours")
        key = self.keys.find(header["kid"])
        if key is None:
            raise TokenRefused("unknown key")
        claims = read_claims(token, key.public, [ALGORITHM], issuer=self._issuer, audience=self._audience, strict=True)
        if claims["exp"] - claims["iat"] > self.ttl_s:
            raise TokenRefused("valid for longer than we issue")
        if len(self._verified) >= REMEMBERED:
            self._verified.clear()
        self._verified[token] = header["kid"], claims
        return self._verified[token]


def read_header(token: str) -> dict[str, Any]:
    """Return the header of a well-formed token: one spelling, no surprises, a key id."""
    if len(token) > MAX_CHARACTERS or not _SHAPE.fullmatch(token):
        raise TokenRefused("not three base64url parts")
    header, payload, signature = (_decode(part) for part in token.split("."))
    if not payload or not signature:
        raise TokenRefused("an empty part")
    try:
        fields = strict_json(header, max_depth=2)
    except Problem as problem:
        raise TokenRefused(f"header: {problem.detail}") from problem
    if not isinstance(fields, dict) or "crit" in fields or "b64" in fields:
        raise TokenRefused("header is not an object, or asks for an extension")
    if any(not isinstance(fields.get(name), str) for name in ("alg", "kid", "typ")):
        raise TokenRefused("alg, kid and typ must be texts")
    if not 0 < len(fields["kid"]) <= MAX_KID_CHARACTERS:
        raise TokenRefused("kid is empty or too long")
    return fields


def read_claims(
    token: str,
    key: PublicKey,
    algorithms: Collection[str],
    *,
    issuer: str | list[str],
    audience: str,
    strict: bool = False,
) -> dict[str, Any]:
    """Return the claims once signature, times, issuer, audience and types hold."""
    try:
        claims: dict[str, Any] = jwt.decode(
            token,
            key,
            algorithms=list(algorithms),
            issuer=issuer,
            audience=audience,
            leeway=LEEWAY_S,
            options={"require": list(REQUIRED), "strict_aud": strict, "enforce_minimum_key_length": True},
        )
        strict_json(_decode(token.split(".")[1]), max_depth=8)
    except (jwt.PyJWTError, Problem, ValueError, TypeError) as error:
        raise TokenRefused(f"{type(error).__name__}: {error}") from error
    times = [claims[name] for name in ("exp", "iat", "nbf") if name in claims]
    if any(isinstance(moment, bool) or not isinstance(moment, int | float) for moment in times):
        raise TokenRefused("a time is not a number")
    if not _SUBJECT.fullmatch(claims["sub"]) or claims["iat"] > claims["exp"]:
        raise TokenRefused("a subject nobody has, or expired before it was issued")
    return claims


def _decode(part: str) -> bytes:
    try:
        data = base64.urlsafe_b64decode(part + "=" * (-len(part) % 4))
    except (binascii.Error, ValueError) as error:
        raise TokenRefused("not base64url") from error
    if base64.urlsafe_b64encode(data).rstrip(b"=").decode() != part:
        # several last characters decode to the same bytes; only one of them is the token
        raise TokenRefused("not the one base64url spelling")
    return data
