"""An external issuer: keys, claims and outages."""

import json
import time
from collections.abc import Iterator
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import httpx
import jwt
import pytest
from cryptography.hazmat.primitives.asymmetric import ec, rsa
from jwt.algorithms import ECAlgorithm, RSAAlgorithm
from starlette.applications import Starlette
from starlette.requests import Request
from starlette.responses import JSONResponse, Response
from starlette.routing import Route

from inference.auth_proxy.__main__ import assemble, make_verifier
from inference.auth_proxy.app import create_app
from inference.auth_proxy.auth.oidc import ExternalIssuer, IssuerUnavailable, RemoteKeys
from inference.auth_proxy.auth.roles import Role
from inference.auth_proxy.auth.tokens import TokenRejected
from inference.auth_proxy.settings import Settings
from tests.support.fake_models import served

AUDIENCE = "shop"


@dataclass
class FakeIssuer:
    """An OpenID Connect issuer with two keys that can be unavailable or have another name."""

    url: str = ""
    away: bool = False
    name: str = ""
    fetched: int = 0
    content: bytes | None = None
    keys: dict[str, Any] = field(default_factory=dict)

    def app(self) -> Starlette:
        return Starlette(routes=[Route("/.well-known/openid-configuration", self._about), Route("/jwks", self._jwks)])

    async def _about(self, _: Request) -> Response:
        return JSONResponse({"issuer": self.name or self.url, "jwks_uri": f"{self.url}/jwks"})

    async def _jwks(self, _: Request) -> Response:
        self.fetched += 1
        if self.away:
            return Response("away", 503)
        if self.content is not None:
            return Response(self.content, media_type="application/json")
        rows = []
        for kid, key in self.keys.items():
            kind = RSAAlgorithm if isinstance(key, rsa.RSAPrivateKey) else ECAlgorithm
            rows.append({**json.loads(kind.to_jwk(key.public_key())), "kid": kid, "use": "sig"})
        return JSONResponse({"keys": rows})

    def token(
        self, kid: str = "rsa", algorithm: str = "RS256", typ: Any = "JWT", header_kid: str = "", **changes: Any
    ) -> str:
        now = int(time.time())
        claims = {"iss": self.url, "aud": AUDIENCE, "sub": "f:1:ada", "iat": now, "exp": now + 60, "roles": ["user"]}
        return jwt.encode(claims | changes, self.keys[kid], algorithm, headers={"kid": header_kid or kid, "typ": typ})


@pytest.fixture(scope="module")
def keys() -> dict[str, Any]:
    return {
        "rsa": rsa.generate_private_key(public_exponent=65537, key_size=2048),
        "ec": ec.generate_private_key(ec.SECP256R1()),
    }


@pytest.fixture
def issuer(keys: dict[str, Any]) -> Iterator[FakeIssuer]:
    fake = FakeIssuer(keys=dict(keys))
    with served(fake.app()) as url:
        fake.url = url
        yield fake


def verifier(
    issuer: FakeIssuer,
    *,
    roles: str = "roles",
    cooldown_s: float = 30,
    types: tuple[str, ...] = ("at+jwt", "jwt"),
    role_map: dict[str, Role] | None = None,
) -> ExternalIssuer:
    remote = RemoteKeys(issuer.url, cooldown_s=cooldown_s)
    return ExternalIssuer(
        remote, issuer=issuer.url, audience=AUDIENCE, roles_claim=roles, token_types=types, role_map=role_map
    )


@pytest.mark.parametrize(("kid", "algorithm"), [("rsa", "RS256"), ("ec", "ES256")])
async def test_a_token_of_the_issuer_is_accepted(issuer: FakeIssuer, kid: str, algorithm: str) -> None:
    identity = await verifier(issuer).verify(issuer.token(kid, algorithm))

    assert (identity.name, identity.role) == ("f:1:ada", Role.USER)


@pytest.mark.parametrize(
    ("claim", "claims", "role"),
    [
        ("roles", {"roles": ["user", "admin"]}, Role.ADMIN),
        ("roles", {"roles": "reviewer offline_access"}, Role.REVIEWER),
        ("roles", {"roles": ["superadmin"]}, None),
        ("roles", {"roles": {"admin": True}}, None),
        ("roles", {"roles": None}, None),
        ("realm_access.roles", {"realm_access": {"roles": ["admin"]}}, Role.ADMIN),
        ("realm_access.roles", {"realm_access": ["admin"]}, None),
        ("groups", {"groups": [["admin"]]}, None),
        ("scope", {"scope": "openid user"}, Role.USER),
        ("https://shop.example/roles", {"https://shop.example/roles": ["admin"]}, Role.ADMIN),
        ("a.b", {"a.b": ["user"], "a": {"b": ["admin"]}}, Role.USER),
        ("a.b", {"a.b": None, "a": {"b": ["admin"]}}, Role.ADMIN),
        ("a.b", {"a": {"c": ["admin"]}}, None),
        ("resource.shop.fr.roles", {"resource": {"shop.fr": {"roles": ["reviewer"]}}}, Role.REVIEWER),
        ("resource.shop.fr.roles", {"resource.shop": 1, "resource": {"shop": {"fr": {"roles": "user"}}}}, Role.USER),
        ("roles", {"roles": [1, None, {"admin": 1}, "user"]}, Role.USER),
    ],
)
async def test_roles_come_from_the_configured_claim(
    issuer: FakeIssuer, claim: str, claims: dict[str, Any], role: Role | None
) -> None:
    identity = await verifier(issuer, roles=claim).verify(issuer.token(**{"roles": None, **claims}))

    assert identity.role is role


@pytest.mark.parametrize(
    ("groups", "role"),
    [
        (["Shop Admins"], Role.ADMIN),
        ("Shop Admins", Role.ADMIN),
        (["desk", "other"], Role.REVIEWER),
        (["desk", "Shop Admins"], Role.ADMIN),
        (["user"], Role.USER),
        (["shop admins"], None),
        ([["desk"]], None),
        ({"desk": True}, None),
        ("desk staff", Role.REVIEWER),
    ],
)
async def test_foreign_names_of_roles_are_mapped(issuer: FakeIssuer, groups: object, role: Role | None) -> None:
    role_map = {"Shop Admins": Role.ADMIN, "desk": Role.REVIEWER}
    identity = await verifier(issuer, roles="groups", role_map=role_map).verify(issuer.token(groups=groups))

    assert identity.role is role


@pytest.mark.parametrize(
    ("types", "typ", "accepted"),
    [
        (("jwt",), None, False),
        (("jwt", ""), None, True),
        (("jwt", ""), "JWT", True),
        (("",), None, True),
        (("",), "JWT", False),
        (("jwt", ""), 1, False),
        (("jwt", ""), "dpop+jwt", False),
    ],
)
async def test_a_token_without_a_type_is_accepted_if_that_is_configured(
    issuer: FakeIssuer, types: tuple[str, ...], typ: Any, accepted: bool
) -> None:
    try:
        await verifier(issuer, types=types).verify(issuer.token(typ=typ))
    except TokenRejected:
        assert not accepted
    else:
        assert accepted


def test_settings_of_an_external_issuer_are_read_as_json(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("OIDC_ROLE_MAP", '{"shop-admins": "admin"}')
    monkeypatch.setenv("AUTH_PROXY_OIDC_TOKEN_TYPES", '["at+jwt", ""]')
    monkeypatch.setenv("AUTH_PROXY_TRUSTED_PROXIES", '["10.0.0.0/8", "::1"]')
    found = Settings()
    monkeypatch.setenv("OIDC_ROLE_MAP", '{"shop-admins": "root"}')

    assert (found.oidc_role_map, found.oidc_token_types) == ({"shop-admins": Role.ADMIN}, ("at+jwt", ""))
    assert [str(network) for network in found.trusted_proxies] == ["10.0.0.0/8", "::1/128"]
    with pytest.raises(ValueError, match=r"(?i)oidc_role_map"):
        Settings()


@pytest.mark.parametrize("content", [b"", b"null", b"[]", b"{}", b'{"keys": []}', b'{"keys": 1}', b'{"keys": [1]}',
                                     b'{"keys": [{}]}', b'{"keys": [{"kty": "oct", "k": "AA", "kid": "a"}]}',
                                     b'{"keys": {"a": 1}}', b'{"keys": [null]}', b"\xff"])  # fmt: skip
async def test_a_damaged_key_set_of_the_issuer_leaves_the_keys_in_use(issuer: FakeIssuer, content: bytes) -> None:
    verify = verifier(issuer, cooldown_s=0).verify
    await verify(issuer.token())
    issuer.content = content

    with pytest.raises(TokenRejected):
        await verify(issuer.token(header_kid="unknown"))
    assert (await verify(issuer.token())).name == "f:1:ada"


WRONG: list[dict[str, Any]] = [
    {"aud": "other"},
    {"aud": ["other"]},
    {"aud": None},
    {"iss": "http://other"},
    {"exp": 1},
    {"exp": "9999999999"},
    {"iat": None},
    {"sub": ""},
    {"sub": None},
    {"sub": "a b"},
    {"sub": "é"},
    {"sub": "a\r\nX-Auth-Role: admin"},
    {"sub": "x" * 300},
    {"nbf": 9999999999},
    {"typ": "id+jwt"},
    {"typ": "dpop+jwt"},
    {"algorithm": "RS512"},
    {"algorithm": "PS256"},
]


@pytest.mark.parametrize("change", WRONG, ids=str)
async def test_a_token_with_another_claim_is_rejected(issuer: FakeIssuer, change: dict[str, Any]) -> None:
    with pytest.raises((TokenRejected, TypeError)):
        await verifier(issuer).verify(issuer.token(**change))


async def test_a_key_of_one_kind_cannot_be_used_as_another(issuer: FakeIssuer) -> None:
    public = RSAAlgorithm.to_jwk(issuer.keys["rsa"].public_key())
    issuer.keys["theirs"] = "x" * 64
    forged = issuer.token("theirs", "HS256").split(".")
    header = jwt.utils.base64url_encode(json.dumps({"alg": "HS256", "kid": "rsa", "typ": "JWT"}).encode()).decode()

    with pytest.raises(TokenRejected):
        await verifier(issuer).verify(".".join([header, *forged[1:]]))
    assert public


async def test_an_unknown_key_causes_one_fetch_and_no_more(issuer: FakeIssuer) -> None:
    remote = verifier(issuer)
    await remote.verify(issuer.token())
    stranger = jwt.encode({"sub": "x"}, issuer.keys["rsa"], "RS256", headers={"kid": "unknown", "typ": "JWT"})
    for _ in range(20):
        with pytest.raises(TokenRejected):
            await remote.verify(stranger)

    assert issuer.fetched == 1


async def test_a_new_key_of_the_issuer_is_found_after_the_cooldown(issuer: FakeIssuer) -> None:
    remote = verifier(issuer, cooldown_s=0)
    await remote.verify(issuer.token())
    issuer.keys["second"] = rsa.generate_private_key(public_exponent=65537, key_size=2048)

    assert (await remote.verify(issuer.token("second"))).name == "f:1:ada"


async def test_the_last_keys_are_used_while_the_issuer_is_unavailable(issuer: FakeIssuer) -> None:
    remote = verifier(issuer, cooldown_s=0)
    token = issuer.token()
    await remote.verify(token)
    issuer.away = True
    remote._keys._fetched = float("-inf")  # as if the keys were old

    names = [(await remote.verify(token)).name for _ in range(3)]

    assert (names, issuer.fetched > 1) == (["f:1:ada"] * 3, True)


async def test_an_issuer_whose_keys_were_never_fetched_is_unavailable(issuer: FakeIssuer) -> None:
    issuer.away = True

    with pytest.raises(IssuerUnavailable):
        await verifier(issuer).verify(issuer.token())


async def test_a_discovery_document_of_another_issuer_is_rejected(issuer: FakeIssuer) -> None:
    issuer.name = "http://other"

    with pytest.raises(IssuerUnavailable):
        await verifier(issuer).verify(issuer.token())


async def test_an_external_issuer_disables_the_embedded_one(issuer: FakeIssuer, tmp_path: Path) -> None:
    settings = Settings(oidc_issuer=issuer.url, oidc_audience=AUDIENCE, state_dir=tmp_path)
    app = create_app(assemble(settings))
    transport = httpx.ASGITransport(app)
    async with httpx.AsyncClient(transport=transport, base_url="http://gateway") as client:
        headers = {"Authorization": f"Bearer {issuer.token(roles=['admin'])}"}
        statuses = {
            path: (await client.request(method, path, headers=headers, json={})).status_code
            for method, path in [
                ("POST", "/token"),
                ("GET", "/.well-known/jwks.json"),
                ("GET", "/users"),
                ("POST", "/users"),
                ("GET", "/categories"),
            ]
        }
        nobody = await client.get("/categories", headers={"Authorization": f"Bearer {issuer.token(roles=[])}"})

    assert statuses == {"/token": 404, "/.well-known/jwks.json": 404, "/users": 404, "/categories": 200}
    assert nobody.status_code == 403
    assert not (tmp_path / "users.sqlite").exists()


def test_an_issuer_without_an_audience_is_rejected_at_start(tmp_path: Path) -> None:
    with pytest.raises(ValueError, match="OIDC_AUDIENCE"):
        Settings(oidc_issuer="http://issuer", state_dir=tmp_path)


def test_settings_are_read_from_the_environment_with_and_without_prefix(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    monkeypatch.setenv("OIDC_ISSUER", "https://issuer.example/realm/")
    monkeypatch.setenv("OIDC_AUDIENCE", "shop")
    monkeypatch.setenv("AUTH_PROXY_OIDC_ROLES_CLAIM", "realm_access.roles")
    monkeypatch.setenv("AUTH_PROXY_PORT", "9000")

    settings = Settings()

    assert (settings.oidc_issuer, settings.oidc_audience) == ("https://issuer.example/realm", "shop")
    assert (settings.oidc_roles_claim, settings.port) == ("realm_access.roles", 9000)
    assert isinstance(make_verifier(settings), ExternalIssuer)
