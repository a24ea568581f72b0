"""Login at an external issuer over HTTP: authorization code with PKCE, as a browser follows it."""

import base64
import hashlib
import json
import secrets
import time
from collections.abc import Iterator
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any
from urllib.parse import parse_qs, parse_qsl, urlencode, urlsplit

import httpx
import jwt
import pytest
from cryptography.hazmat.primitives.asymmetric import rsa
from jwt.algorithms import RSAAlgorithm
from starlette.applications import Starlette
from starlette.requests import Request
from starlette.responses import JSONResponse, RedirectResponse, Response
from starlette.routing import Route

from inference.auth_proxy.__main__ import assemble
from inference.auth_proxy.app import create_app
from inference.auth_proxy.auth.roles import Role
from inference.auth_proxy.auth.session_cookies import LOGIN_COOKIE, SESSION_COOKIE
from inference.auth_proxy.settings import Settings
from tests.support.fake_models import served

CLIENT, SECRET, AUDIENCE = "workbench", "s3cr:t/ü", "shop"


@dataclass
class CodeIssuer:
    """An OpenID Connect provider that checks client, redirect URI, PKCE and that a code is used once."""

    key: rsa.RSAPrivateKey
    url: str = ""
    secret: str = SECRET
    roles: list[str] = field(default_factory=lambda: ["shop-reviewers"])
    token_ttl_s: int = 3600
    jwt_access_token: bool = True
    refreshes: bool = True
    denies: bool = False
    id_claims: dict[str, Any] = field(default_factory=dict)
    refreshed: int = 0
    _codes: dict[str, dict[str, str]] = field(default_factory=dict)
    _refresh_tokens: set[str] = field(default_factory=set)

    def app(self) -> Starlette:
        return Starlette(
            routes=[
                Route("/.well-known/openid-configuration", self._metadata),
                Route("/jwks", self._jwks),
                Route("/auth", self._authorize),
                Route("/token", self._token, methods=["POST"]),
            ]
        )

    async def _metadata(self, _: Request) -> Response:
        names = {"authorization_endpoint": "auth", "token_endpoint": "token", "jwks_uri": "jwks"}
        urls = {name: f"{self.url}/{path}" for name, path in names.items()}
        return JSONResponse({"issuer": self.url, "end_session_endpoint": f"{self.url}/logout", **urls})

    async def _jwks(self, _: Request) -> Response:
        return JSONResponse({"keys": [{**json.loads(RSAAlgorithm.to_jwk(self.key.public_key())), "kid": "k"}]})

    async def _authorize(self, request: Request) -> Response:
        query = dict(request.query_params)
        assert ("code", CLIENT, "S256") == tuple(
            query[name] for name in ("response_type", "client_id", "code_challenge_method")
        )
        answer = {"state": query["state"], "iss": self.url}
        if self.denies:
            return RedirectResponse(f"{query['redirect_uri']}?{urlencode({'error': 'access_denied', **answer})}")
        code = secrets.token_urlsafe()
        self._codes[code] = query
        return RedirectResponse(f"{query['redirect_uri']}?{urlencode({'code': code, **answer})}")

    async def _token(self, request: Request) -> Response:
        form = dict(parse_qsl((await request.body()).decode()))
        if self.secret:
            sent = base64.b64decode(request.headers["authorization"].removeprefix("Basic ")).decode()
            if [CLIENT, self.secret] != [parse_qs(f"x={part}")["x"][0] for part in sent.split(":")]:
                return JSONResponse({"error": "invalid_client"}, 401)
        if form["grant_type"] == "refresh_token":
            self.refreshed += 1
            if form["refresh_token"] not in self._refresh_tokens:
                return JSONResponse({"error": "invalid_grant"}, 400)
            self._refresh_tokens.remove(form["refresh_token"])
            return JSONResponse(self._tokens(nonce=None))
        asked = self._codes.pop(form["code"], None)
        challenge = base64.urlsafe_b64encode(hashlib.sha256(form["code_verifier"].encode()).digest()).rstrip(b"=")
        if (
            asked is None
            or asked["redirect_uri"] != form["redirect_uri"]
            or challenge.decode() != asked["code_challenge"]
        ):
            return JSONResponse({"error": "invalid_grant", "error_description": "code"}, 400)
        return JSONResponse(self._tokens(asked["nonce"]))

    def _tokens(self, nonce: str | None) -> dict[str, Any]:
        now = int(time.time())
        common = {"iss": self.url, "sub": "f:1:remy", "iat": now, "exp": now + self.token_ttl_s, "groups": self.roles}
        claims = common | {"aud": CLIENT, "nonce": nonce} | self.id_claims
        tokens = {"id_token": jwt.encode(claims, self.key, "RS256", headers={"kid": "k"}), "token_type": "Bearer"}
        access = jwt.encode(common | {"aud": AUDIENCE}, self.key, "RS256", headers={"kid": "k", "typ": "at+jwt"})
        tokens["access_token"] = access if self.jwt_access_token else "opaque"
        if self.refreshes:
            tokens["refresh_token"] = secrets.token_urlsafe()
            self._refresh_tokens.add(tokens["refresh_token"])
        return tokens

    def revoke(self) -> None:
        self._refresh_tokens.clear()


@pytest.fixture(scope="module")
def key() -> rsa.RSAPrivateKey:
    return rsa.generate_private_key(public_exponent=65537, key_size=2048)


@pytest.fixture
def issuer(key: rsa.RSAPrivateKey) -> Iterator[CodeIssuer]:
    provider = CodeIssuer(key)
    with served(provider.app()) as url:
        provider.url = url
        yield provider


@pytest.fixture
def gateway_url(issuer: CodeIssuer, tmp_path: Path) -> Iterator[str]:
    settings = Settings(
        oidc_issuer=issuer.url,
        oidc_audience=AUDIENCE,
        oidc_client_id=CLIENT,
        oidc_client_secret=issuer.secret,
        oidc_roles_claim="groups",
        oidc_role_map={"shop-reviewers": Role.REVIEWER, "shop-users": Role.USER},
        oidc_scopes="openid groups",
        state_dir=tmp_path,
    )
    with served(create_app(assemble(settings)), lifespan="on") as url:
        yield url


@pytest.fixture
def browser(gateway_url: str) -> Iterator[httpx.Client]:
    """A client that keeps cookies and follows redirects, as browsers do."""
    with httpx.Client(base_url=gateway_url, follow_redirects=True, trust_env=False, timeout=20) as client:
        yield client


@pytest.mark.parametrize("jwt_access_token", [True, False], ids=["role in the access token", "role in the ID token"])
def test_a_user_of_the_issuer_logs_in(browser: httpx.Client, issuer: CodeIssuer, jwt_access_token: bool) -> None:
    issuer.jwt_access_token = jwt_access_token
    page = browser.get("/login", params={"next": "/queue?a=1&b=2"})
    me = browser.get("/me").json()

    assert 200 == page.status_code
    assert 'content="0;url=/queue?a=1&amp;b=2"' in page.text
    assert ("f:1:remy", "reviewer", "external") == (me["name"], me["role"], me["issuer"])
    assert [SESSION_COOKIE] == list(browser.cookies)


def test_the_login_is_tied_to_the_browser_by_a_short_lived_lax_cookie(browser: httpx.Client) -> None:
    reply = browser.get("/login", follow_redirects=False)
    query = parse_qs(urlsplit(reply.headers["location"]).query)

    assert 302 == reply.status_code
    assert {"Path=/login/callback", "Max-Age=600", "HttpOnly", "SameSite=Lax"} <= set(
        reply.headers["set-cookie"].split("; ")
    )
    assert ["openid groups"] == query["scope"]
    assert query["redirect_uri"][0].endswith("/login/callback")
    assert len({query[name][0] for name in ("state", "nonce", "code_challenge")}) == 3


def callback(browser: httpx.Client) -> str:
    """Begin a login; return the URL that the issuer would send the browser back to."""
    began = browser.get("/login", follow_redirects=False).headers["location"]
    return httpx.get(began, follow_redirects=False, trust_env=False).headers["location"]


def test_a_response_for_another_browser_is_refused(browser: httpx.Client, gateway_url: str) -> None:
    url = callback(browser)
    with httpx.Client(base_url=gateway_url, trust_env=False) as other:
        unprepared = other.get(url)
        other.get("/login")
        prepared = other.get(url)

    assert [401, 401] == [reply.status_code for reply in (unprepared, prepared)]
    assert "was not begun in this browser" in prepared.json()["detail"]
    assert SESSION_COOKIE not in other.cookies


@pytest.mark.parametrize("change", ["code", "state", "repeated"])
def test_a_changed_or_repeated_response_is_refused(browser: httpx.Client, change: str) -> None:
    url = callback(browser)
    if change == "repeated":
        kept = browser.cookies.get(LOGIN_COOKIE)
        assert 200 == browser.get(url).status_code
        reply = httpx.get(url, headers={"Cookie": f"{LOGIN_COOKIE}={kept}"}, trust_env=False)
    else:
        reply = browser.get(url.replace(f"{change}=", f"{change}=x"))

    assert (401, "application/problem+json") == (reply.status_code, reply.headers["content-type"])


@pytest.mark.parametrize(
    "claims",
    [
        {"nonce": "other"},
        {"nonce": None},
        {"aud": "other"},
        {"aud": [CLIENT, "other"]},
        {"iss": "http://other"},
        {"exp": 1},
        {"sub": "another"},
    ],
    ids=str,
)
def test_an_id_token_that_is_not_for_this_login_is_refused(
    browser: httpx.Client, issuer: CodeIssuer, claims: dict[str, Any]
) -> None:
    issuer.id_claims = claims
    reply = browser.get("/login")

    assert (401, "login-refused") == (reply.status_code, reply.json()["type"].rpartition("/")[2].rpartition(":")[2])
    assert SESSION_COOKIE not in browser.cookies


def test_a_login_that_the_issuer_denies_is_refused_with_its_reason(browser: httpx.Client, issuer: CodeIssuer) -> None:
    issuer.denies = True
    reply = browser.get("/login")

    assert (401, True) == (reply.status_code, "'access_denied'" in reply.json()["detail"])


def test_a_wrong_client_secret_is_reported(browser: httpx.Client, issuer: CodeIssuer) -> None:
    issuer.secret = "another"
    reply = browser.get("/login")

    assert (401, True) == (reply.status_code, "invalid_client" in reply.json()["detail"])


def test_a_user_without_a_role_has_no_access(browser: httpx.Client, issuer: CodeIssuer) -> None:
    issuer.roles = ["another-group"]
    browser.get("/login")

    assert 403 == browser.get("/me").status_code


def test_an_expired_token_is_refreshed_with_the_role_the_user_has_now(
    browser: httpx.Client, issuer: CodeIssuer
) -> None:
    issuer.token_ttl_s = 0  # valid within the leeway for clocks, and due for a refresh
    browser.get("/login")
    issuer.roles = ["shop-users"]
    demoted = browser.get("/me").json()
    issuer.revoke()
    revoked = browser.get("/me")

    assert ("user", 2) == (demoted["role"], issuer.refreshed)
    assert (401, "the session has ended; log in again") == (revoked.status_code, revoked.json()["detail"])


def test_without_a_refresh_token_the_session_ends_with_the_token(browser: httpx.Client, issuer: CodeIssuer) -> None:
    issuer.token_ttl_s, issuer.refreshes = 0, False
    browser.get("/login")

    assert 401 == browser.get("/me").status_code


def test_a_password_is_refused_and_a_logout_names_the_issuers(browser: httpx.Client, issuer: CodeIssuer) -> None:
    browser.get("/login")
    csrf = browser.get("/me").json()["csrf_token"]
    password = browser.post("/login", data={"username": "ada", "password": "x"})
    reply = browser.post("/logout", headers={"X-CSRF-Token": csrf})

    assert (409, "external-issuer") == (
        password.status_code,
        password.json()["type"].rpartition("/")[2].rpartition(":")[2],
    )
    assert f"{issuer.url}/logout?client_id={CLIENT}" == reply.json()["issuer_logout_url"]
    assert 401 == browser.get("/me").status_code


def test_an_issuer_that_is_unavailable_is_503(tmp_path: Path) -> None:
    settings = Settings(oidc_issuer="http://127.0.0.1:9", oidc_audience=AUDIENCE, state_dir=tmp_path)
    with served(create_app(assemble(settings)), lifespan="on") as url:
        reply = httpx.get(f"{url}/login", trust_env=False)

    assert 503 == reply.status_code


def test_the_login_is_documented_alike_with_both_issuers(browser: httpx.Client) -> None:
    paths = browser.get("/openapi.json").json()["paths"]

    assert {"/login", "/login/callback", "/logout", "/me"} <= set(paths)
