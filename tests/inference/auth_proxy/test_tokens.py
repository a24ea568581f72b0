"""Forged, altered, foreign and expired tokens are rejected."""

import asyncio
import base64
import hashlib
import hmac
import json
import time
from collections.abc import Callable
from functools import cache
from typing import Any

import jwt
import pytest
from cryptography.hazmat.primitives.asymmetric import ec, ed25519, rsa
from cryptography.hazmat.primitives.asymmetric.padding import PKCS1v15
from cryptography.hazmat.primitives.hashes import SHA256
from cryptography.hazmat.primitives.serialization import Encoding, PublicFormat
from hypothesis import given, settings
from hypothesis import strategies as st

from inference.auth_proxy.auth.keys import KeyRing
from inference.auth_proxy.auth.roles import Role
from inference.auth_proxy.auth.tokens import EmbeddedIssuer, TokenRejected, WallClock
from inference.auth_proxy.auth.users import UserStore
from tests.inference.auth_proxy.conftest import PASSWORD, Gateway

Claims = dict[str, Any]
WRONG_ALGORITHMS = [
    "none", "None", "NONE", "nOnE", "none ", " none", "", "HS256", "HS384", "HS512", "hs256", "rs256", "RS256 ",
    "RS384", "RS512", "PS256", "ES256", "EdDSA", "A256GCM", "dir", "RS256\u0000", "RSA", "null",
]  # fmt: skip
WRONG_KIDS = [
    "", " ", "0", "../../../../dev/null", "/dev/null", "file:///etc/passwd", "http://127.0.0.1/key", "' OR 1=1 --",
    "x' UNION SELECT 'key' --", "key\u0000", "${jndi:ldap://x}", "a" * 129, "*", "%00", "1;ls", "\u202e", "null",
]  # fmt: skip
WRONG_TYPES: list[Any] = [None, True, False, 0, 1.5, [], ["x"], {}, {"a": 1}, "", "\u0000"]
HEADER_TRICKS: list[Claims] = [
    {"jku": "http://127.0.0.1:9/jwks.json"}, {"jku": "file:///etc/passwd"}, {"x5u": "http://127.0.0.1:9/c.pem"},
    {"x5c": ["MIIB"]}, {"x5t": "x"}, {"jwk": {"kty": "oct", "k": "AAAA"}}, {"jwk": {}}, {"crit": []}, {"crit": ["exp"]},
    {"crit": ["b64"], "b64": False}, {"b64": False}, {"b64": True}, {"zip": "DEF"}, {"cty": "JWT"}, {"enc": "A256GCM"},
    {"typ": "JWT"}, {"typ": "jwt"}, {"typ": "at+JWT"}, {"typ": "application/at+jwt"}, {"typ": None}, {"typ": 1},
    {"typ": "id_token"}, {"typ": ""}, {"typ": ["at+jwt"]}, {"alg": None}, {"alg": 1}, {"alg": ["RS256"]}, {"kid": None},
    {"kid": 1}, {"kid": ["a"]}, {"kid": {}}, {"unknown": 1},
]  # fmt: skip


@cache
def foreign_key() -> rsa.RSAPrivateKey:
    return rsa.generate_private_key(public_exponent=65537, key_size=2048)


def part(value: object) -> str:
    data = value if isinstance(value, bytes) else json.dumps(value).encode()
    return base64.urlsafe_b64encode(data).rstrip(b"=").decode()


def claims_of(issuer: EmbeddedIssuer) -> Claims:
    user = issuer.users.get("ursula")
    assert user
    return jwt.decode(issuer.issue(user), options={"verify_signature": False})


def signed(issuer: EmbeddedIssuer, claims: Any, header: Claims | None = None) -> str:
    """Sign anything with our own key: what would pass if only the signature were looked at."""
    key = issuer.keys.signing()
    assert key.private
    head = {"alg": "RS256", "kid": key.kid, "typ": "at+jwt"} | (header or {})
    text = f"{part({k: v for k, v in head.items() if v is not ...})}.{part(claims)}"
    return f"{text}.{part(key.private.sign(text.encode(), PKCS1v15(), SHA256()))}"


def hmac_signed(secret: bytes, claims: Claims, header: Claims, name: str = "sha256") -> str:
    text = f"{part(header)}.{part(claims)}"
    return f"{text}.{part(hmac.new(secret, text.encode(), name).digest())}"


def forgeries(issuer: EmbeddedIssuer) -> list[tuple[str, str]]:
    claims = claims_of(issuer)
    return [
        *_algorithm_forgeries(issuer, claims),
        *_key_forgeries(issuer, claims),
        *_header_forgeries(issuer, claims),
        *_claim_forgeries(issuer, claims),
        *_shape_forgeries(issuer, claims),
    ]


def _algorithm_forgeries(issuer: EmbeddedIssuer, claims: Claims) -> list[tuple[str, str]]:
    key = issuer.keys.signing()
    kid = key.kid
    pems = [
        key.public.public_bytes(Encoding.PEM, PublicFormat.SubjectPublicKeyInfo),
        key.public.public_bytes(Encoding.PEM, PublicFormat.PKCS1),
        key.public.public_bytes(Encoding.DER, PublicFormat.SubjectPublicKeyInfo),
        json.dumps(issuer.keys.jwks()).encode(),
        key.kid.encode(),
        b"",
    ]
    cases = [
        (f"alg {a!r} unsigned", f"{part({'alg': a, 'kid': kid, 'typ': 'at+jwt'})}.{part(claims)}.")
        for a in WRONG_ALGORITHMS
    ]
    cases += [(f"alg {a!r} signed by us", signed(issuer, claims, {"alg": a})) for a in WRONG_ALGORITHMS]
    cases += [
        (f"{alg} with public material {n}", hmac_signed(pem, claims, {"alg": alg, "kid": kid, "typ": "at+jwt"}, name))
        for n, pem in enumerate(pems)
        for alg, name in (("HS256", "sha256"), ("HS384", "sha384"), ("HS512", "sha512"), ("RS256", "sha256"))
    ]
    return cases


def _key_forgeries(issuer: EmbeddedIssuer, claims: Claims) -> list[tuple[str, str]]:
    kid, foreign = issuer.keys.signing().kid, foreign_key()
    header = {"kid": kid, "typ": "at+jwt"}
    jwk = jwt.algorithms.RSAAlgorithm.to_jwk(foreign.public_key(), as_dict=True)
    embedded = [
        {},
        {"jwk": jwk},
        {"jku": "http://127.0.0.1:9/jwks.json"},
        {"x5u": "http://127.0.0.1:9/x"},
        {"kid": "theirs"},
    ]
    cases = [
        (f"foreign key {sorted(extra)}", jwt.encode(claims, foreign, "RS256", headers={**header, **extra}))
        for extra in embedded
    ]
    weak = rsa.generate_private_key(public_exponent=65537, key_size=1024)
    cases += [("weak key", _quiet_encode(claims, weak, "RS256", header))]
    cases += [("elliptic key", jwt.encode(claims, ec.generate_private_key(ec.SECP256R1()), "ES256", headers=header))]
    cases += [("edwards key", jwt.encode(claims, ed25519.Ed25519PrivateKey.generate(), "EdDSA", headers=header))]
    cases += [
        (f"PS256 {n}", jwt.encode(claims, foreign, alg, headers=header)) for n, alg in enumerate(["PS256", "RS512"])
    ]
    cases += [(f"kid {k!r:.30}", signed(issuer, claims, {"kid": k})) for k in WRONG_KIDS]
    return cases


def _quiet_encode(claims: Claims, key: rsa.RSAPrivateKey, algorithm: str, header: Claims) -> str:
    with pytest.warns():
        return jwt.encode(claims, key, algorithm, headers=header)


def _header_forgeries(issuer: EmbeddedIssuer, claims: Claims) -> list[tuple[str, str]]:
    cases = [(f"header {trick}", signed(issuer, claims, trick)) for trick in HEADER_TRICKS]
    cases += [(f"header without {name}", signed(issuer, claims, {name: ...})) for name in ("alg", "kid", "typ")]
    kid = issuer.keys.signing().kid
    twice = f'{{"alg":"none","alg":"RS256","kid":"{kid}","typ":"at+jwt"}}'.encode()
    for name, raw in {
        "two algs": twice,
        "list": b"[]",
        "text": b'"x"',
        "null": b"null",
        "NaN": b"NaN",
        "cut": b"{",
    }.items():
        text = f"{part(raw)}.{part(claims)}"
        cases.append((f"header {name}", f"{text}.{_signature(issuer, text)}"))
    return cases


def _signature(issuer: EmbeddedIssuer, text: str) -> str:
    key = issuer.keys.signing().private
    assert key
    return part(key.sign(text.encode(), PKCS1v15(), SHA256()))


def _claim_forgeries(issuer: EmbeddedIssuer, claims: Claims) -> list[tuple[str, str]]:
    now = int(time.time())
    changes: list[Claims] = [
        {"exp": now - 31},
        {"exp": now - 100_000},
        {"exp": 0},
        {"exp": -1},
        {"exp": 10**12},
        {"exp": 1e400},
        {"exp": now + 10 * 365 * 86_400},
        {"exp": str(now + 60)},
        {"iat": now + 120},
        {"iat": now - 100_000},
        {"iat": str(now)},
        {"nbf": now + 120},
        {"nbf": str(now - 5)},
        {"nbf": True},
        {"iss": "other"},
        {"iss": "Product-Classifier"},
        {"iss": "product-classifier "},
        {"aud": "other"},
        {"aud": ["product-classifier"]},
        {"aud": ["a", "product-classifier"]},
        {"aud": "PRODUCT-CLASSIFIER"},
        {"sub": "nobody"},
        {"sub": "URSULA"},
        {"sub": "ursula "},
        {"sub": "ada"},
        {"sub": "remy"},
        {"sub": "ursula\u0000"},
        {"sub": "' OR '1'='1"},
        {"role": "admin"},
        {"role": "reviewer"},
        {"role": ["user"]},
        {"role": ...},
        {"role": "user,admin"},
        {"gen": "0" * 16},
        {"gen": ...},
        {"gen": None},
        {"exp": now - 31, "iat": now - 60},
    ]
    changes += [{name: ...} for name in ("exp", "iat", "iss", "aud", "sub")]
    changes += [{name: value} for name in ("exp", "iat", "iss", "aud", "sub", "gen") for value in WRONG_TYPES]
    cases = [
        (f"claims {change}", signed(issuer, {k: v for k, v in (claims | change).items() if v is not ...}))
        for change in changes
    ]
    raw = [b"[]", b'"x"', b"null", b"1", b"{", b"", b"\xff\xfe", b'{"exp":NaN}', b"{}"]
    cases += [(f"payload {value!r}", signed(issuer, value)) for value in raw]
    twice = json.dumps(claims)[:-1] + ', "sub": "ada", "sub": "ursula"}'
    return [*cases, ("two subs", signed(issuer, twice.encode()))]


def _shape_forgeries(issuer: EmbeddedIssuer, claims: Claims) -> list[tuple[str, str]]:
    good = signed(issuer, claims)
    head, body, signature = good.split(".")
    tricks = {
        "empty signature": f"{head}.{body}.",
        "no signature": f"{head}.{body}",
        "one part": head,
        "four parts": f"{good}.x",
        "five parts (JWE)": f"{good}.x.y",
        "dots": "..",
        "dot in front": f".{good}",
        "padding": f"{good}=",
        "padded header": f"{head}=.{body}.{signature}",
        "standard alphabet": f"{head}.{body}.{'+/' + signature[2:]}",
        "newline": f"{head}.{body}.\n{signature}",
        "swapped": f"{body}.{head}.{signature}",
        "long": f"{head}.{'A' * 20_000}.{signature}",
        "signature twice": f"{head}.{body}.{signature}{signature}",
        "signature cut": f"{head}.{body}.{signature[:-4]}",
        "signature of zeros": f"{head}.{body}.{part(bytes(256))}",
        "signature of ones": f"{head}.{body}.{part(bytes([1]))}",
        "signature of another": f"{head}.{body}.{part(hashlib.sha256(b'x').digest() * 8)}",
        "quoted": f'"{good}"',
        "percent": good.replace(".", "%2e"),
        "JSON form": json.dumps({"protected": head, "payload": body, "signature": signature}),
    }
    return list(tricks.items())


async def test_every_forged_token_is_rejected(gateway: Gateway) -> None:
    cases = forgeries(gateway.issuer)
    accepted = [name for name, token in cases if await _let_in(gateway.issuer, token)]

    assert len(cases) >= 250
    assert accepted == []


async def test_a_valid_token_is_accepted(gateway: Gateway) -> None:
    assert await _let_in(gateway.issuer, signed(gateway.issuer, claims_of(gateway.issuer)))


def test_every_forgery_gets_the_same_401_over_http(gateway: Gateway) -> None:
    client = gateway.client(None)
    replies = []
    for name, token in forgeries(gateway.issuer):
        if token.isascii() and token.isprintable():
            reply = client.get("/categories", headers={"Authorization": f"Bearer {token}"})
            replies.append((name, reply.status_code, reply.headers.get("www-authenticate")))

    wrong = [r for r in replies if r[1:] != (401, 'Bearer realm="product-classifier", error="invalid_token"')]
    assert [w for w in wrong if w[0] != "long"] == []
    assert len(replies) > 240


async def test_no_single_flipped_bit_is_accepted(gateway: Gateway) -> None:
    token = gateway.token().encode()
    accepted = []
    for place in range(len(token)):
        for bit in range(8):
            flipped = bytearray(token)
            flipped[place] ^= 1 << bit
            if await _let_in(gateway.issuer, flipped.decode("latin-1")):
                accepted.append((place, bit))

    assert accepted == []


async def test_no_other_last_character_of_a_part_is_accepted(gateway: Gateway) -> None:
    letters = "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789-_"
    parts = gateway.token().split(".")
    others = [
        ".".join([*parts[:n], parts[n][:-1] + letter, *parts[n + 1 :]])
        for n in range(3)
        for letter in letters
        if letter != parts[n][-1]
    ]

    assert [token for token in others if await _let_in(gateway.issuer, token)] == []


AUTHORIZATIONS = [
    "",
    "Bearer",
    "Basic dXJzdWxhOng=",
    "Token {}",
    "{}",
    "Bearer  {}",
    "Bearer\t{}",
    "Bearer {} x",
    "Bearer {},Bearer {}",
    "Bearer: {}",
    "Bearer={}",
    "bearer{}",
    "Digest {}",
    "Bearer Bearer {}",
    "Negotiate {}",
    'Bearer "{}"',
    "DPoP {}",
]


@pytest.mark.parametrize("value", AUTHORIZATIONS)
def test_only_one_form_of_the_authorization_header_is_accepted(gateway: Gateway, value: str) -> None:
    reply = gateway.client(None).get("/categories", headers={"Authorization": value.replace("{}", gateway.token())})

    assert (reply.status_code, reply.headers["content-type"]) == (401, "application/problem+json")


def test_a_token_is_not_read_from_the_query_or_a_cookie(gateway: Gateway) -> None:
    client = gateway.client(None)

    by_query = client.get("/categories", params={"access_token": gateway.token()})
    by_cookie = client.get(
        "/categories", headers={"Cookie": f"access_token={gateway.token()}; token={gateway.token()}"}
    )

    assert (by_query.status_code, by_cookie.status_code) == (401, 401)


def _disable(gateway: Gateway) -> None:
    gateway.issuer.users.change("victor", disabled=True)


def _demote(gateway: Gateway) -> None:
    gateway.issuer.users.change("victor", role=gateway.issuer.users.get("remy").role)  # type: ignore[union-attr]


def _change_password(gateway: Gateway) -> None:
    gateway.issuer.users.change("victor", password="a whole new password")


def _delete(gateway: Gateway) -> None:
    gateway.issuer.users.remove("victor")


def _delete_and_return(gateway: Gateway) -> None:
    role = gateway.issuer.users.get("victor").role  # type: ignore[union-attr]
    gateway.issuer.users.remove("victor")
    gateway.issuer.users.add("victor", PASSWORD, role)


@pytest.mark.parametrize("revoke", [_disable, _demote, _change_password, _delete, _delete_and_return])
def test_a_change_of_a_user_revokes_the_tokens(gateway: Gateway, revoke: Callable[[Gateway], None]) -> None:
    gateway.issuer.users.add("victor", PASSWORD, Role.USER)
    client = gateway.client("victor")
    before = client.get("/categories").status_code
    revoke(gateway)
    after = client.get("/categories").status_code
    if gateway.issuer.users.get("victor"):
        gateway.issuer.users.remove("victor")

    assert (before, after) == (200, 401)


def test_the_response_does_not_contain_the_reason(gateway: Gateway) -> None:
    expired = signed(gateway.issuer, claims_of(gateway.issuer) | {"exp": 1, "iat": 0})
    forged = expired[:-8] + "AAAAAAAA"

    details = {
        gateway.client(None).get("/categories", headers={"Authorization": f"Bearer {token}"}).json()["detail"]
        for token in (forged, "a.b.c", "aaaa.bbbb.cccc")
    }

    assert details == {"the access token is not valid"}


def test_an_expired_token_has_its_own_detail_so_that_clients_log_in(gateway: Gateway) -> None:
    expired = signed(gateway.issuer, claims_of(gateway.issuer) | {"exp": 1, "iat": 0})

    response = gateway.client(None).get("/categories", headers={"Authorization": f"Bearer {expired}"})

    assert response.status_code == 401
    assert response.json()["detail"] == "the access token has expired; log in again for a new one"


async def _let_in(issuer: EmbeddedIssuer, token: str) -> bool:
    try:
        await issuer.verify(token)
    except TokenRejected:
        return False
    return True


class SettableClock(WallClock):
    """Wall and monotonic time that a test sets."""

    def __init__(self) -> None:
        self.wall = self.elapsed = 1_800_000_000.0
        super().__init__(lambda: self.wall, lambda: self.elapsed)

    def step(self, seconds: float) -> None:
        """Let time pass."""
        self.wall += seconds
        self.elapsed += seconds


@pytest.fixture(scope="module")
def issuer_clock(tmp_path_factory: pytest.TempPathFactory) -> tuple[EmbeddedIssuer, SettableClock]:
    folder, clock = tmp_path_factory.mktemp("issuer"), SettableClock()
    users = UserStore(folder / "users.sqlite")
    users.add("ursula", PASSWORD, Role.USER)
    keys = KeyRing(folder / "keys.json", 3600)
    return EmbeddedIssuer(keys, users, issuer="i", audience="a", ttl_s=3600, clock=clock), clock


def new_token(issuer: EmbeddedIssuer) -> str:
    user = issuer.users.get("ursula")
    assert user
    return issuer.issue(user)


def is_accepted(issuer: EmbeddedIssuer, token: str) -> bool:
    issuer._verified.clear()
    try:
        asyncio.run(issuer.verify(token))
    except TokenRejected:
        return False
    return True


@settings(max_examples=50)
@given(st.lists(st.tuples(st.floats(-80_000, 0), st.floats(0, 300)), max_size=6))
def test_an_unexpired_token_is_accepted_whenever_the_clock_is_set_back(
    issuer_clock: tuple[EmbeddedIssuer, SettableClock], steps: list[tuple[float, float]]
) -> None:
    issuer, clock = issuer_clock
    tokens = [new_token(issuer)]
    for back_s, passed_s in steps:
        clock.wall += max(back_s, clock.elapsed - clock.wall - 80_000)
        clock.step(passed_s)
        tokens.append(new_token(issuer))

        assert all(is_accepted(issuer, token) for token in tokens)
    clock.wall = clock.elapsed


def test_a_token_expires_by_the_wall_clock(issuer_clock: tuple[EmbeddedIssuer, SettableClock]) -> None:
    issuer, clock = issuer_clock
    token = new_token(issuer)
    clock.step(3600)
    within = is_accepted(issuer, token)
    clock.step(31)

    assert (within, is_accepted(issuer, token)) == (True, False)


@pytest.mark.parametrize("claim", ["iat", "nbf"])
def test_a_token_from_the_future_is_rejected_unless_the_clock_was_set_back(
    issuer_clock: tuple[EmbeddedIssuer, SettableClock], claim: str
) -> None:
    issuer, clock = issuer_clock
    claims = jwt.decode(new_token(issuer), options={"verify_signature": False})
    future = signed(issuer, claims | {claim: int(clock.wall) + 600, "exp": int(clock.wall) + 1200})
    before = is_accepted(issuer, future)
    clock.step(600)
    new_token(issuer)
    is_accepted(issuer, "x")
    issuer._clock.latest()
    clock.wall -= 600

    assert (before, is_accepted(issuer, future)) == (False, True)
    clock.wall = clock.elapsed


@pytest.mark.parametrize("moment", [1e400, -1e400, "1", None, True, [1], 10**400])
@pytest.mark.parametrize("claim", ["exp", "iat", "nbf"])
def test_a_time_that_is_not_a_finite_number_is_rejected(
    issuer_clock: tuple[EmbeddedIssuer, SettableClock], claim: str, moment: object
) -> None:
    issuer, _ = issuer_clock
    claims = jwt.decode(new_token(issuer), options={"verify_signature": False})

    assert not is_accepted(issuer, signed(issuer, claims | {claim: moment}))
