"""Login, users and signing keys."""

import stat
import threading
import time
from collections.abc import Callable
from pathlib import Path

import httpx
import jwt
import orjson
import pytest

from inference.auth_proxy.__main__ import main
from inference.auth_proxy.auth import keys as keys_module
from inference.auth_proxy.auth.keys import KeyRing
from inference.auth_proxy.auth.roles import Role
from inference.auth_proxy.auth.tokens import EmbeddedIssuer, TokenRejected
from inference.auth_proxy.auth.users import UserStore
from inference.auth_proxy.rate_limits import RateLimits
from inference.http.problems import Problem
from product_classifier.limits import TOKEN_BODY_BYTES
from tests.inference.auth_proxy.conftest import PASSWORD, Gateway


def log_in(gateway: Gateway, name: str, password: str = PASSWORD) -> httpx.Response:
    with gateway.client(None) as client:
        return client.post("/token", data={"grant_type": "password", "username": name, "password": password})


def test_a_password_is_exchanged_for_an_access_token(gateway: Gateway) -> None:
    reply = log_in(gateway, "ursula")

    token = reply.json()
    with gateway.client(None) as client:
        status = client.get("/categories", headers={"Authorization": f"Bearer {token['access_token']}"}).status_code
    assert (reply.status_code, status) == (200, 200)
    assert set(token) == {"access_token", "token_type", "expires_in"}
    assert (token["token_type"], token["expires_in"]) == ("bearer", 3600)
    assert reply.headers["cache-control"] == "no-store"


def test_a_token_verifies_with_the_published_keys(gateway: Gateway) -> None:
    token = gateway.token()
    with gateway.client(None) as client:
        published = jwt.PyJWKSet.from_dict(client.get("/.well-known/jwks.json").json())

    key = published[jwt.get_unverified_header(token)["kid"]]
    claims = jwt.decode(token, key, algorithms=["RS256"], audience="product-classifier", issuer="product-classifier")

    assert (claims["sub"], claims["role"]) == ("ursula", "user")


def test_published_keys_have_no_private_members(gateway: Gateway) -> None:
    with gateway.client(None) as client:
        published = client.get("/.well-known/jwks.json").json()

    assert [set(key) for key in published["keys"]] == [{"kid", "use", "alg", "kty", "n", "e"}]


@pytest.mark.parametrize("own_gateway", [{"login_limit": "100/minute"}], indirect=True)
def test_an_unknown_name_and_a_wrong_password_get_the_same_response(own_gateway: Gateway) -> None:
    own_gateway.issuer.users.change("remy", disabled=True)
    replies = [
        log_in(own_gateway, "ursula", "wrong"),
        log_in(own_gateway, "nobody"),
        log_in(own_gateway, "nobody", "x"),
        log_in(own_gateway, "remy"),
        log_in(own_gateway, "URSULA"),
        log_in(own_gateway, "' OR 1=1 --"),
        log_in(own_gateway, "é\u0000"),
    ]

    told = {(r.status_code, r.json()["detail"], r.headers["www-authenticate"]) for r in replies}
    assert told == {(401, "the name or the password is wrong", 'Bearer realm="product-classifier"')}


def test_an_unknown_name_takes_as_many_hashes_as_a_known_one(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    users = UserStore(tmp_path / "users.sqlite")
    users.add("ada", PASSWORD, Role.ADMIN)
    checked: list[str] = []
    real = type(users._hasher).verify
    monkeypatch.setattr(
        type(users._hasher), "verify", lambda self, h, p: (checked.append(h.rsplit("$", 2)[0]), real(self, h, p))[1]
    )

    users.authenticate("ada", "wrong")
    users.authenticate("nobody", "wrong")

    assert checked[0] == checked[1]


def test_after_too_many_wrong_passwords_the_right_one_is_refused_too(own_gateway: Gateway) -> None:
    wrong = [log_in(own_gateway, "ursula", "guess").status_code for _ in range(5)]
    right = log_in(own_gateway, "ursula")
    other = log_in(own_gateway, "ada")

    assert wrong == [401] * 5
    assert (right.status_code, other.status_code) == (429, 200)
    assert 1 <= int(right.headers["retry-after"]) <= 60


FORMS: list[tuple[str, dict[str, object], int]] = [
    ("json", {"json": {"username": "ursula", "password": PASSWORD}}, 415),
    ("multipart", {"files": {"username": "ursula", "password": PASSWORD}}, 415),
    ("nothing", {"data": {}}, 415),
    ("no password", {"data": {"username": "ursula"}}, 422),
    ("no name", {"data": {"password": PASSWORD}}, 422),
    ("empty password", {"data": {"username": "ursula", "password": ""}}, 422),
    ("other grant", {"data": {"username": "a", "password": "b", "grant_type": "client_credentials"}}, 400),
    ("unknown field", {"data": {"username": "a", "password": "b", "role": "admin"}}, 422),
    (
        "twice",
        {
            "content": b"username=a&username=b&password=c",
            "headers": {"content-type": "application/x-www-form-urlencoded"},
        },
        400,
    ),
    (
        "bad UTF-8",
        {"content": b"username=%ff&password=c", "headers": {"content-type": "application/x-www-form-urlencoded"}},
        400,
    ),
    (
        "raw bytes",
        {"content": b"username=\xff&password=c", "headers": {"content-type": "application/x-www-form-urlencoded"}},
        400,
    ),
    ("long password", {"data": {"username": "a", "password": "b" * 257}}, 422),
    ("too long", {"data": {"username": "a", "password": "b" * TOKEN_BODY_BYTES}}, 413),
    ("many fields", {"data": {f"f{i}": "x" for i in range(100)}}, 400),
]


@pytest.mark.parametrize(("sent", "status"), [f[1:] for f in FORMS], ids=[f[0] for f in FORMS])
def test_an_invalid_login_form_is_rejected(gateway: Gateway, sent: dict[str, object], status: int) -> None:
    with gateway.client(None) as client:
        reply = client.post("/token", **sent)  # type: ignore[arg-type]

    assert (reply.status_code, reply.headers["content-type"]) == (status, "application/problem+json")


@pytest.mark.parametrize(
    ("form", "status", "error"),
    [
        ({"username": "ursula"}, 422, "invalid_request"),
        ({"username": "", "password": PASSWORD}, 422, "invalid_request"),
        ({"username": "ursula", "password": "b" * 257}, 422, "invalid_request"),
        ({"username": "ursula", "password": PASSWORD, "grant_type": ""}, 400, "unsupported_grant_type"),
        ({"grant_type": "client_credentials"}, 400, "unsupported_grant_type"),
        ({"username": "u" * 300, "password": PASSWORD}, 401, "invalid_grant"),
    ],
)
def test_a_rejected_login_has_the_error_code_of_oauth(
    own_gateway: Gateway, form: dict[str, str], status: int, error: str
) -> None:
    with own_gateway.client(None) as client:
        reply = client.post("/token", data=form)

    kind = "urn:product-classifier:problem:invalid-grant" if status == 401 else "about:blank"
    assert (status, error, kind) == (reply.status_code, reply.json()["error"], reply.json()["type"])


@pytest.mark.parametrize("in_url", ["zoe@example.com", "zoe%40example.com"], ids=["as it is", "URL-encoded"])
def test_a_user_whose_name_is_an_address_is_found_in_any_encoding(own_gateway: Gateway, in_url: str) -> None:
    with own_gateway.client("ada") as client:
        created = client.post("/users", json={"name": "zoe@example.com", "password": PASSWORD, "role": "user"})
        changed = client.patch(f"/users/{in_url}", json={"role": "reviewer"})
        deleted = client.delete(f"/users/{in_url}")
        unknown = client.delete(f"/users/{in_url}")

    assert (201, 200, 204, 404) == tuple(reply.status_code for reply in (created, changed, deleted, unknown))
    assert ("zoe@example.com", "reviewer") == (changed.json()["name"], changed.json()["role"])


def test_an_admin_creates_changes_and_deletes_users(own_gateway: Gateway) -> None:
    with own_gateway.client("ada") as client:
        made = client.post("/users", json={"name": "zoe", "password": "p" * 12, "role": "reviewer"})
        again = client.post("/users", json={"name": "zoe", "password": "p" * 12})
        changed = client.patch("/users/zoe", json={"role": "user", "disabled": True})
        listed = client.get("/users").json()
        removed = client.delete("/users/zoe")
        gone = client.delete("/users/zoe")

    assert (made.status_code, made.headers["location"]) == (201, "/users/zoe")
    assert (again.status_code, changed.json()["role"], changed.json()["disabled"]) == (409, "user", True)
    assert [u["name"] for u in listed] == ["ada", "remy", "ursula", "zoe"]
    assert not [u for u in listed if "password" in u]
    assert (removed.status_code, removed.content, gone.status_code) == (204, b"", 404)


@pytest.mark.parametrize("change", [{"role": "user"}, {"disabled": True}, None], ids=["demoted", "disabled", "deleted"])
def test_the_last_admin_cannot_be_removed(own_gateway: Gateway, change: dict[str, object] | None) -> None:
    with own_gateway.client("ada") as client:
        reply = client.patch("/users/ada", json=change) if change else client.delete("/users/ada")
        still = client.get("/users").status_code

    assert (reply.status_code, still) == (409, 200)


BAD_USERS: list[tuple[object, str]] = [
    ({}, "name"),
    ({"name": "zoe"}, "password"),
    ({"name": "Zoe", "password": "p" * 12}, "name"),
    ({"name": "", "password": "p" * 12}, "name"),
    ({"name": "a/b", "password": "p" * 12}, "name"),
    ({"name": "../x", "password": "p" * 12}, "name"),
    ({"name": "z" * 65, "password": "p" * 12}, "name"),
    ({"name": "zoe\n", "password": "p" * 12}, "name"),
    ({"name": "zoe", "password": "short"}, "password"),
    ({"name": "zoe", "password": "p" * 257}, "password"),
    ({"name": "zoe", "password": "p" * 12, "role": "root"}, "role"),
    ({"name": "zoe", "password": "p" * 12, "role": None}, "role"),
    ({"name": "zoe", "password": "p" * 12, "disabled": False}, "disabled"),
    ({"name": 1, "password": "p" * 12}, "name"),
    ([], "body"),
    ({"name": "zoe", "password": ["p" * 12]}, "password"),
]


@pytest.mark.parametrize(("body", "named"), BAD_USERS)
def test_an_invalid_user_is_rejected_by_field(gateway: Gateway, body: object, named: str) -> None:
    with gateway.client("ada") as client:
        reply = client.post("/users", json=body)

    assert (reply.status_code, reply.json()["detail"].split(":")[0]) == (422, named)
    assert "p" * 12 not in reply.text


@pytest.mark.parametrize(
    "body", [{}, {"name": "x"}, {"role": "root"}, {"password": "x"}, {"disabled": "maybe"}, {"role": None}]
)
def test_an_invalid_change_is_rejected(gateway: Gateway, body: object) -> None:
    with gateway.client("ada") as client:
        assert client.patch("/users/remy", json=body).status_code == 422


def test_a_password_with_a_lone_surrogate_is_rejected(gateway: Gateway) -> None:
    with gateway.client("ada") as client:
        reply = client.post(
            "/users",
            content=b'{"name":"zoe","password":"\\ud800aaaaaaaaaaaaaa"}',
            headers={"content-type": "application/json"},
        )

    assert reply.status_code == 422


@pytest.fixture
def ring(tmp_path: Path) -> KeyRing:
    return KeyRing(tmp_path / "keys.json", verify_after_retirement_s=100)


def issuer_with(ring: KeyRing, tmp_path: Path) -> EmbeddedIssuer:
    users = UserStore(tmp_path / "users.sqlite")
    users.add("ada", PASSWORD, Role.ADMIN)
    return EmbeddedIssuer(ring, users, issuer="i", audience="a", ttl_s=60)


async def test_a_retired_key_verifies_until_its_tokens_expire(
    ring: KeyRing, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    issuer = issuer_with(ring, tmp_path)
    ada = issuer.users.get("ada")
    assert ada
    old = issuer.issue(ada)
    KeyRing(tmp_path / "keys.json", verify_after_retirement_s=100).rotate()  # in another process
    new = issuer.issue(ada)

    assert jwt.get_unverified_header(old)["kid"] != jwt.get_unverified_header(new)["kid"]
    assert [(await issuer.verify(t)).name for t in (old, new)] == ["ada", "ada"]
    assert len(ring.jwks()["keys"]) == 2
    later = keys_module.time.time() + 101
    monkeypatch.setattr(keys_module.time, "time", lambda: later)
    assert ring.find(jwt.get_unverified_header(old)["kid"]) is None
    assert len(ring.jwks()["keys"]) == 1


async def test_tokens_of_a_revoked_key_are_rejected(ring: KeyRing, tmp_path: Path) -> None:
    issuer = issuer_with(ring, tmp_path)
    ada = issuer.users.get("ada")
    assert ada
    token = issuer.issue(ada)
    KeyRing(tmp_path / "keys.json", verify_after_retirement_s=100).rotate(revoke=True)

    with pytest.raises(TokenRejected):
        await issuer.verify(token)


def test_keys_are_created_once_in_a_file_of_the_owner(ring: KeyRing, tmp_path: Path) -> None:
    path = tmp_path / "keys.json"
    kid = ring.signing().kid
    path.chmod(0o644)

    assert KeyRing(path, verify_after_retirement_s=100).signing().kid == kid
    assert stat.S_IMODE(path.stat().st_mode) == 0o600


def test_the_key_file_has_no_private_key_of_a_retired_key(ring: KeyRing, tmp_path: Path) -> None:
    ring.rotate()

    rows = orjson.loads((tmp_path / "keys.json").read_bytes())["keys"]
    assert ["PRIVATE" in row["pem"] for row in rows] == [True, False]


def test_demo_accounts_are_created_once_in_a_file_of_the_owner(tmp_path: Path) -> None:
    file = tmp_path / "accounts.json"
    statuses = [main(["accounts", "--state", str(tmp_path), "--file", str(file)])]
    first = orjson.loads(file.read_bytes())
    statuses.append(main(["--state", str(tmp_path), "accounts"]))

    users = UserStore(tmp_path / "users.sqlite")
    assert statuses == [0, 0]
    assert orjson.loads(file.read_bytes()) == first
    assert stat.S_IMODE(file.stat().st_mode) == 0o600
    assert {name: account["role"] for name, account in first.items()} == {
        "demo-user": "user", "demo-reviewer": "reviewer", "demo-admin": "admin",
    }  # fmt: skip
    assert all(users.authenticate(name, account["password"]) for name, account in first.items())
    assert len({account["password"] for account in first.values()}) == 3


def test_changed_passwords_of_demo_accounts_are_reset(tmp_path: Path) -> None:
    main(["accounts", "--state", str(tmp_path)])
    accounts = orjson.loads((tmp_path / "accounts.json").read_bytes())
    UserStore(tmp_path / "users.sqlite").change("demo-admin", password="something else entirely")

    main(["accounts", "--state", str(tmp_path)])

    assert UserStore(tmp_path / "users.sqlite").authenticate("demo-admin", accounts["demo-admin"]["password"])


def test_passwords_are_stored_as_argon2_hashes_in_a_file_of_the_owner(tmp_path: Path) -> None:
    path = tmp_path / "users.sqlite"
    UserStore(path).add("ada", PASSWORD, Role.ADMIN)
    held = b"".join(file.read_bytes() for file in tmp_path.iterdir())

    assert b"$argon2id$" in held
    assert PASSWORD.encode() not in held
    assert {stat.S_IMODE(file.stat().st_mode) for file in tmp_path.iterdir()} == {0o600}


def _add(users: UserStore) -> None:
    users.add("ada", PASSWORD, Role.USER)


def _change(users: UserStore) -> None:
    users.change("nobody", disabled=True)


def _remove(users: UserStore) -> None:
    users.remove("nobody")


@pytest.mark.parametrize(("act", "status"), [(_add, 409), (_change, 404), (_remove, 404)])
def test_an_impossible_change_of_a_user_is_a_problem(
    tmp_path: Path, act: Callable[[UserStore], None], status: int
) -> None:
    users = UserStore(tmp_path / "users.sqlite")
    users.add("ada", PASSWORD, Role.ADMIN)

    with pytest.raises(Problem) as problem:
        act(users)

    assert problem.value.status == status


@pytest.mark.parametrize("own_gateway", [{"rate_limit": "20/minute"}], indirect=True)
def test_each_user_has_a_separate_rate_limit(own_gateway: Gateway) -> None:
    with own_gateway.client("ursula") as ursula, own_gateway.client("ada") as ada:
        statuses = [ursula.get("/categories").status_code for _ in range(22)]
        refused = ursula.get("/categories")
        other = ada.get("/categories").status_code

    assert statuses == [200] * 20 + [429] * 2
    assert (refused.json()["type"].endswith("rate-limit"), other) == (True, 200)
    assert 1 <= int(refused.headers["retry-after"]) <= 60


@pytest.mark.parametrize("own_gateway", [{"rate_limit": "20/minute"}], indirect=True)
def test_a_batch_counts_each_of_its_products(own_gateway: Gateway) -> None:
    with own_gateway.client() as client:
        statuses = [client.post("/predict/batch", json=[{"designation": "x"}] * 8).status_code for _ in range(4)]
        too_many = client.post("/predict/batch", json=[{"designation": "x"}] * 30)

    assert statuses == [200, 200, 429, 429]
    assert too_many.status_code == 429


def test_rate_limits_start_no_threads() -> None:
    limits = RateLimits(products="100/second")
    time.sleep(0.1)  # the library starts one at first
    before = threading.active_count()
    most = 0
    for n in range(300):
        limits.spend(f"user{n}")
        most = max(most, threading.active_count())
        time.sleep(0.001)

    assert most <= before


@pytest.mark.parametrize("limit", [1, 50, 200])
def test_no_window_exceeds_the_rate(limit: int) -> None:
    now = 1_000_000.0
    limits = RateLimits(products=f"{limit}/second", clock=lambda: now)
    taken = []
    for milliseconds in range(3000):
        now = 1_000_000 + milliseconds / 1000
        try:
            limits.spend("ada")
        except Problem:
            continue
        taken.append(milliseconds)

    assert max(sum(1 for t in taken if start <= t < start + 1000) for start in range(0, 2000, 50)) == limit
    assert abs(len(taken) - 3 * limit) <= max(1, 0.05 * 3 * limit)
