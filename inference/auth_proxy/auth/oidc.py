"""Tokens of an external OpenID Connect issuer."""

import asyncio
import hmac
import json
import time
import urllib.request
from collections.abc import Mapping, Sequence
from typing import Any

from jwt import PyJWK, PyJWKClient
from jwt.exceptions import PyJWTError

from inference.auth_proxy.auth.api_keys import KEY_USER
from inference.auth_proxy.auth.roles import Role
from inference.auth_proxy.auth.tokens import Identity, PublicKey, TokenRejected, WallClock, read_claims, read_header
from inference.http.problems import Problem
from product_classifier.observability import get_logger

ID_TOKEN_TYPES = frozenset({"jwt", ""})
"""Accepted `typ` headers of ID tokens, lower case."""
ALGORITHMS = frozenset({"RS256", "ES256", "EdDSA"})
MAX_AGE_S = 300.0
"""Keys older than this are fetched again."""
COOLDOWN_S = 30.0
FIRST_COOLDOWN_S = 2.0
"""Cool-down until the first keys are there: without keys no token can be verified."""
TIMEOUT_S = 5.0


class IssuerUnavailable(Problem):
    """The issuer's keys or documents were never fetched and cannot be fetched now."""

    def __init__(self, issuer: str) -> None:
        super().__init__(503, f"the keys of {issuer} cannot be fetched; try again", kind="issuer-unavailable")


def fetch_metadata(issuer: str) -> dict[str, Any]:
    """Return the discovery document of an issuer (OpenID Connect Discovery 1.0); blocks.

    Raises:
        OSError: If it cannot be fetched.
        ValueError: If it is not JSON, or that of another issuer.
    """
    url = f"{issuer}/.well-known/openid-configuration"
    with urllib.request.urlopen(url, timeout=TIMEOUT_S) as response:  # noqa: S310 - http(s), checked in Settings
        document = json.load(response)
    if not isinstance(document, dict) or str(document.get("issuer")).rstrip("/") != issuer:
        raise ValueError(f"{url}: is not the document of {issuer!r}")
    return document


class RemoteKeys:
    """The issuer's key set, fetched in a thread; the last one is used while the issuer is unavailable."""

    def __init__(self, issuer: str, jwks_url: str | None = None, *, cooldown_s: float = COOLDOWN_S) -> None:
        self._issuer = issuer
        self._client = PyJWKClient(jwks_url, cache_jwk_set=False, timeout=TIMEOUT_S) if jwks_url else None
        self._cooldown_s = cooldown_s
        self._keys: dict[str, PyJWK] = {}
        self._fetched = self._tried = float("-inf")
        self._lock = asyncio.Lock()
        self._log = get_logger()

    async def find(self, kid: str) -> PyJWK | None:
        """Return the key of this id; an unknown one causes at most one fetch per cool-down."""
        if self._is_due(kid):
            async with self._lock:
                if self._is_due(kid):
                    await self._fetch()
        if not self._keys:
            raise IssuerUnavailable(self._issuer)
        return self._keys.get(kid)

    def _is_due(self, kid: str) -> bool:
        now = time.monotonic()
        cooldown_s = self._cooldown_s if self._keys else min(self._cooldown_s, FIRST_COOLDOWN_S)
        return (kid not in self._keys or now - self._fetched > MAX_AGE_S) and now - self._tried >= cooldown_s

    async def _fetch(self) -> None:
        self._tried = time.monotonic()
        try:
            keys = await asyncio.to_thread(self._get)
        except (PyJWTError, OSError, ValueError, KeyError, TypeError) as error:
            self._log.warning(
                "issuer_keys_fetch_failed", issuer=self._issuer, reason=f"{type(error).__name__}: {error}"
            )
            return
        self._keys = keys
        self._fetched = time.monotonic()

    def _get(self) -> dict[str, PyJWK]:
        if self._client is None:
            self._client = PyJWKClient(
                str(fetch_metadata(self._issuer)["jwks_uri"]), cache_jwk_set=False, timeout=TIMEOUT_S
            )
        keys = self._client.get_signing_keys()
        usable = {key.key_id: key for key in keys if key.key_id and key.algorithm_name in ALGORITHMS}
        if not usable:
            raise ValueError(f"none of {len(keys)} keys has an id and one of {', '.join(sorted(ALGORITHMS))}")
        return usable


class ExternalIssuer:
    """Verifies tokens of an external issuer; the role is read from a configured claim."""

    def __init__(
        self,
        keys: RemoteKeys,
        *,
        issuer: str,
        audience: str,
        roles_claim: str,
        token_types: tuple[str, ...],
        role_map: Mapping[str, Role] | None = None,
        clock: WallClock | None = None,
    ) -> None:
        self._keys = keys
        self._clock = clock or WallClock()
        self._issuers = [issuer, f"{issuer}/"]
        self._audience = audience
        self._roles_claim = roles_claim.split(".")
        self._types = frozenset(token_types)
        self._role_names = {role.value: role for role in Role} | dict(role_map or {})

    async def verify(self, token: str) -> Identity:
        """Return the identity of the user; the algorithm is the key's, never the one the token names."""
        identity, _ = await self.verify_until(token)
        return identity

    async def verify_until(self, token: str) -> tuple[Identity, float]:
        """Return what `verify` returns, and the time until which the token is valid."""
        claims = await self._claims(token, self._types, self._audience)
        return self._identity(claims), float(claims["exp"])

    async def verify_id_token(self, token: str, *, client_id: str, nonce: str | None) -> tuple[Identity, float]:
        """Return the user of an ID token for this client, and the time until which it is valid.

        Args:
            token: The ID token.
            client_id: Its audience.
            nonce: What it must repeat; None for one that a refresh returned.
        """
        claims = await self._claims(token, ID_TOKEN_TYPES, client_id)
        if nonce is not None and not hmac.compare_digest(str(claims.get("nonce", "")).encode(), nonce.encode()):
            raise TokenRejected("nonce: is not that of the login")
        if isinstance(claims["aud"], list) and len(claims["aud"]) > 1 and claims.get("azp") != client_id:
            raise TokenRejected("azp: is not this client")
        return self._identity(claims), float(claims["exp"])

    async def _claims(self, token: str, types: frozenset[str], audience: str) -> dict[str, Any]:
        header = read_header(token, typ_required="" not in types)
        if header["alg"] not in ALGORITHMS or header["typ"].lower().removeprefix("application/") not in types:
            raise TokenRejected("alg or typ is not accepted")
        key = await self._keys.find(header["kid"])
        if key is None:
            raise TokenRejected("kid: unknown key")
        if key.algorithm_name != header["alg"]:
            raise TokenRejected("alg: is not that of the key")
        public: PublicKey = key.key
        return read_claims(token, public, [key.algorithm_name], self._clock, issuer=self._issuers, audience=audience)

    def _identity(self, claims: Mapping[str, Any]) -> Identity:
        if claims["sub"].startswith(KEY_USER):
            raise TokenRejected(f"sub: starts with {KEY_USER!r}, as the names of API keys do")
        return Identity(claims["sub"], self._role(claims))

    def _role(self, claims: Mapping[str, Any]) -> Role | None:
        value = _find_claim(claims, self._roles_claim)
        given = [value, *value.split()] if isinstance(value, str) else value if isinstance(value, list) else []
        held = {self._role_names[name] for name in given if isinstance(name, str) and name in self._role_names}
        return max(held, key=list(Role).index, default=None)


def _find_claim(claims: Any, names: Sequence[str]) -> Any:
    """Return the claim of a dotted name: of the literal key, else of an object within an object."""
    if not isinstance(claims, dict):
        return None
    for end in range(len(names), 0, -1):
        value = claims.get(".".join(names[:end]))
        if value is not None and end < len(names):
            value = _find_claim(value, names[end:])
        if value is not None:
            return value
    return None
