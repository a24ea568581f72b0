"""Login at an external issuer: authorization code with PKCE (OpenID Connect Core 1.0, RFC 7636)."""

import asyncio
import time
from dataclasses import dataclass
from typing import Any
from urllib.parse import quote, urlencode

import aiohttp
import orjson

from inference.auth_proxy.auth.oidc import ExternalIssuer, IssuerUnavailable, fetch_metadata
from inference.auth_proxy.auth.session_cookies import SessionEnded, digest
from inference.auth_proxy.auth.tokens import Identity, TokenRejected
from inference.http.problems import Problem, public_message
from product_classifier.observability import get_logger

METADATA_AGE_S = 300.0
TIMEOUT_S = 10.0
_log = get_logger()


class LoginRefused(Problem):
    """The issuer, or a check of its response, refused a login; the reason is logged."""

    def __init__(self, reason: str) -> None:
        super().__init__(401, f"the login failed: {reason}; log in again", kind="login-refused")


@dataclass(frozen=True, slots=True)
class IssuedLogin:
    """A user who logged in at the issuer."""

    identity: Identity
    expires: float
    """End of validity of what the issuer confirmed, in seconds since 1970."""
    refresh_token: str


@dataclass(frozen=True, slots=True)
class PendingLogin:
    """Secrets of one login, all derived from one random value, which only a cookie of the browser has."""

    secret: str

    @property
    def state(self) -> str:
        """Return what ties the response to this browser."""
        return digest(f"state {self.secret}")

    @property
    def nonce(self) -> str:
        """Return what ties the ID token to this login."""
        return digest(f"nonce {self.secret}")

    @property
    def code_verifier(self) -> str:
        """Return what ties the code to this login (PKCE)."""
        return digest(f"verifier {self.secret}")


class AuthorizationCodeFlow:
    """Sends browsers to the issuer, and redeems the codes they return with."""

    def __init__(
        self, issuer: str, verifier: ExternalIssuer, *, client_id: str, client_secret: str, scopes: str
    ) -> None:
        """Take the issuer's URL, the verifier of its tokens, and the client registered there.

        An empty `client_secret` is a public client, which PKCE alone protects.
        """
        self._issuer = issuer
        self._verifier = verifier
        self._client_id = client_id
        self._client_secret = client_secret
        self._scopes = scopes
        self._metadata: dict[str, Any] = {}
        self._fetched = float("-inf")

    async def authorization_url(self, pending: PendingLogin, redirect_uri: str) -> str:
        """Return the URL at the issuer where the user logs in; raise `IssuerUnavailable` if it is not known."""
        parameters = {
            "response_type": "code",
            "client_id": self._client_id,
            "redirect_uri": redirect_uri,
            "scope": self._scopes,
            "state": pending.state,
            "nonce": pending.nonce,
            "code_challenge": digest(pending.code_verifier),
            "code_challenge_method": "S256",
        }
        endpoint = await self._endpoint("authorization_endpoint")
        return f"{endpoint}{'&' if '?' in endpoint else '?'}{urlencode(parameters)}"

    async def logout_url(self) -> str | None:
        """Return the URL that ends the session at the issuer (RP-initiated logout), None if it has none."""
        try:
            endpoint = (await self._read_metadata()).get("end_session_endpoint")
        except IssuerUnavailable:
            return None
        return f"{endpoint}?{urlencode({'client_id': self._client_id})}" if isinstance(endpoint, str) else None

    async def redeem(self, code: str, pending: PendingLogin, redirect_uri: str) -> IssuedLogin:
        """Exchange a code for tokens and return the user; raise `LoginRefused` or `IssuerUnavailable`."""
        grant = {
            "grant_type": "authorization_code",
            "code": code,
            "redirect_uri": redirect_uri,
            "code_verifier": pending.code_verifier,
        }
        try:
            return await self._login(await self._request_tokens(grant), nonce=pending.nonce)
        except TokenRejected as error:
            _log.warning("issuer_login_rejected", issuer=self._issuer, reason=error.reason)
            raise LoginRefused("the issuer's ID token is not valid") from error

    async def refresh(self, refresh_token: str, name: str) -> IssuedLogin:
        """Return the user with a new token; raise `SessionEnded` if the issuer refuses, or names another user."""
        try:
            tokens = await self._request_tokens({"grant_type": "refresh_token", "refresh_token": refresh_token})
            login = await self._login(tokens, nonce=None)
        except LoginRefused as error:
            raise SessionEnded(error.detail) from error
        if login.identity.name != name:
            raise SessionEnded("the issuer refreshed the token of another user")
        return login

    async def _login(self, tokens: dict[str, Any], nonce: str | None) -> IssuedLogin:
        """Return the user of a token response; the role is read from the access token if that is for this API."""
        access_token, id_token = str(tokens.get("access_token", "")), str(tokens.get("id_token", ""))
        try:
            confirmed = await self._verifier.verify_until(access_token)
        except TokenRejected:
            confirmed = None
        if id_token or nonce is not None or confirmed is None:
            by_id_token = await self._verifier.verify_id_token(id_token, client_id=self._client_id, nonce=nonce)
            if confirmed is not None and confirmed[0].name != by_id_token[0].name:
                raise TokenRejected("sub: access token and ID token name different users")
            confirmed = confirmed or by_id_token
        identity, expires = confirmed
        return IssuedLogin(identity, expires, str(tokens.get("refresh_token") or ""))

    async def _request_tokens(self, grant: dict[str, str]) -> dict[str, Any]:
        url = await self._endpoint("token_endpoint")
        fields, headers = {**grant, "client_id": self._client_id}, {}
        if self._client_secret:  # each part is form-encoded first (RFC 6749, section 2.3.1)
            parts = (quote(part, safe="") for part in (self._client_id, self._client_secret))
            headers["Authorization"] = aiohttp.encode_basic_auth(*parts)
        try:
            async with (
                aiohttp.ClientSession(timeout=aiohttp.ClientTimeout(TIMEOUT_S)) as session,
                session.post(url, data=fields, headers=headers, allow_redirects=False) as response,
            ):
                status, body = response.status, await response.read()
        except (aiohttp.ClientError, TimeoutError) as error:
            _log.warning("issuer_token_request_failed", issuer=self._issuer, reason=f"{type(error).__name__}: {error}")
            raise IssuerUnavailable(self._issuer) from error
        try:
            tokens = orjson.loads(body)
        except orjson.JSONDecodeError:
            tokens = None
        if status >= 500 or not isinstance(tokens, dict):
            _log.warning("issuer_token_request_failed", issuer=self._issuer, reason=f"status {status}")
            raise IssuerUnavailable(self._issuer)
        if status != 200:
            reason = tokens.get("error_description") or tokens.get("error") or status
            _log.warning("issuer_login_rejected", issuer=self._issuer, reason=str(reason))
            raise LoginRefused(f"the issuer responds {public_message(str(tokens.get('error') or status))}")
        return tokens

    async def _endpoint(self, name: str) -> str:
        endpoint = (await self._read_metadata()).get(name)
        if not isinstance(endpoint, str) or not endpoint.startswith(("http://", "https://")):
            _log.warning("issuer_metadata_incomplete", issuer=self._issuer, member=name)
            raise IssuerUnavailable(self._issuer)
        return endpoint

    async def _read_metadata(self) -> dict[str, Any]:
        if time.monotonic() - self._fetched > METADATA_AGE_S:
            try:
                self._metadata = await asyncio.to_thread(fetch_metadata, self._issuer)
                self._fetched = time.monotonic()
            except (OSError, ValueError, KeyError, TypeError) as error:
                _log.warning("issuer_metadata_fetch_failed", issuer=self._issuer, reason=str(error))
                if not self._metadata:
                    raise IssuerUnavailable(self._issuer) from error
        return self._metadata
