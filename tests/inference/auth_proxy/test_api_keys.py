"""API keys: creation, use, revocation, and attempts to use what is not a valid key."""

import asyncio
import hashlib
import re
import sqlite3
from collections.abc import Callable
from contextlib import closing
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import httpx
import pytest

from inference.auth_proxy.__main__ import open_api_keys
from inference.auth_proxy.auth.api_keys import (
    KEY_PATTERN,
    KEYS_FILE,
    MAX_KEYS,
    USED_WRITTEN_S,
    ApiKeyStore,
    ApiKeyVerifier,
    KeyRejected,
    KeysUnavailable,
    new_secret,
)
from inference.auth_proxy.auth.oidc import ExternalIssuer, RemoteKeys
from inference.auth_proxy.auth.roles import Role
from inference.auth_proxy.auth.tokens import WallClock
from inference.auth_proxy.routes import ROUTES
from inference.auth_proxy.settings import Settings
from inference.http.problems import Problem
from tests.inference.auth_proxy.conftest import PASSWORD, Gateway, start

CHALLENGE_HEADER = 'Bearer realm="product-classifier", error="invalid_token"'


def create(gateway: Gateway, name: str = "shop", role: str = "user", by: str = "ada", **fields: Any) -> dict[str, Any]:
    with gateway.client(by) as client:
        reply = client.post("/keys", json={"name": name, "role": role, **fields})
    assert reply.status_code == 201, reply.text
    created: dict[str, Any] = reply.json()
    return created


def call(gateway: Gateway, key: str, path: str = "/categories", method: str = "GET", **sent: Any) -> httpx.Response:
    with gateway.client(None) as client:
        return client.request(method, path, headers={b"Authorization": b"Bearer " + key.encode()}, **sent)


def test_a_key_is_shown_once_and_stored_as_a_hash(own_gateway: Gateway) -> None:
    expires = datetime.now(UTC) + timedelta(days=30)
    created = create(own_gateway, expires=expires.isoformat())
    with own_gateway.client("ada") as client:
        listed = client.get("/keys").json()
    stored = b"".join(file.read_bytes() for file in own_gateway.state.rglob(f"{KEYS_FILE}*"))

    secret = created.pop("key")
    assert {"items": [created], "next_cursor": None} == listed
    assert ("shop", "user", "ada", None) == tuple(created[k] for k in ("name", "role", "created_by", "last_used"))
    assert expires == datetime.fromisoformat(created["expires"])
    assert secret.encode() not in stored
    assert bytes.fromhex(secret[4:]) not in stored
    assert 200 == call(own_gateway, secret).status_code


def test_every_key_matches_the_pattern_for_secret_scanners() -> None:
    keys = {new_secret() for _ in range(100)}

    assert 100 == len(keys)
    assert all(re.fullmatch(KEY_PATTERN, key) for key in keys)


def other_digit(secret: str, place: int) -> str:
    digit = "0" if secret[place] != "0" else "1"
    return secret[:place] + digit + secret[place + 1 :]


ATTEMPTS: dict[str, tuple[Callable[[str], str], int, str]] = {
    "another key": (lambda _: new_secret(), 401, "the API key is not valid"),
    "first digit changed": (lambda key: other_digit(key, 4), 401, "mistyped"),
    "checksum changed": (lambda key: other_digit(key, len(key) - 1), 401, "mistyped"),
    "truncated": (lambda key: key[:-1], 401, "not complete"),
    "without checksum": (lambda key: key[:-8], 401, "not complete"),
    "extended": (lambda key: f"{key}0", 401, "not complete"),
    "prefix alone": (lambda _: "pck_", 401, "not complete"),
    "upper case": (lambda key: "pck_" + key[4:].upper(), 401, "not complete"),
    "other prefix": (lambda key: f"pat_{key[4:]}", 401, "the access token is not valid"),
    "upper-case prefix": (lambda key: f"PCK_{key[4:]}", 401, "the access token is not valid"),
    "without prefix": (lambda key: key[4:], 401, "the access token is not valid"),
    "its hash": (
        lambda key: hashlib.sha256(key.encode()).hexdigest(),
        401,
        "the access token is not valid",
    ),
    "two keys": (lambda key: f"{key} {key}", 401, "the access token is not valid"),
    "fullwidth digits": (lambda key: key[:-1] + "\uff11", 401, "not complete"),
    "an accent": (lambda key: key[:-1] + "é", 401, "not complete"),
    "huge": (lambda key: key + "0" * 17_000, 431, "headers"),
    "large": (lambda key: key + "0" * 9_000, 401, "not complete"),
    "as a JWT": (lambda key: f"{key}.e30.c2ln", 401, "not complete"),
    "SQL": (lambda _: "pck_' OR 1=1 --", 401, "the access token is not valid"),
}


@pytest.mark.parametrize("attempt", ATTEMPTS)
def test_what_is_not_a_key_is_refused(gateway: Gateway, attempt: str) -> None:
    secret = create(gateway, "attempt-" + attempt.lower().replace(" ", "-"), role="admin")["key"]
    change, status, detail = ATTEMPTS[attempt]

    reply = call(gateway, change(secret), "/users")

    assert status == reply.status_code, reply.text
    assert detail in reply.json()["detail"]
    if status == 401:
        assert CHALLENGE_HEADER == reply.headers["www-authenticate"]
        assert "urn:product-classifier:problem:invalid-token" == reply.json()["type"]
    assert 200 == call(gateway, secret, "/users").status_code


def test_a_revoked_key_is_refused_at_once_by_every_gateway_of_the_disk(own_gateway: Gateway) -> None:
    other = open_api_keys(Settings(state_dir=own_gateway.state), own_gateway.issuer)
    assert other is not None
    created = create(own_gateway)
    before = asyncio.run(other.verify(created["key"]))
    with own_gateway.client("ada") as client:
        first = client.delete(f"/keys/{created['id']}")
        second = client.delete(f"/keys/{created['id']}")
        listed = client.get("/keys").json()["items"]
    refused = call(own_gateway, created["key"])

    assert (f"key:shop:{created['id']}", Role.USER, True) == (before.name, before.role, before.is_machine)
    assert (204, 404, []) == (first.status_code, second.status_code, listed)
    assert (401, "the API key is not valid") == (refused.status_code, refused.json()["detail"])
    with pytest.raises(KeyRejected, match="not valid"):
        asyncio.run(other.verify(created["key"]))
    other.store.close()


class SettableClock(WallClock):
    """A clock of a test's own."""

    def __init__(self, seconds: float) -> None:
        super().__init__()
        self.seconds = seconds

    def now(self) -> float:
        return self.seconds


@pytest.fixture
def store(tmp_path: Path) -> ApiKeyStore:
    return ApiKeyStore(tmp_path / KEYS_FILE)


def test_a_key_is_refused_from_its_expiry_on(store: ApiKeyStore) -> None:
    clock = SettableClock(1000.0)
    _, secret = store.add("shop", Role.USER, expires=2000.0, created_by="ada", now=1000.0)
    verifier = ApiKeyVerifier(store, clock=clock)

    async def use() -> None:
        clock.seconds = 1999.9
        await verifier.verify(secret)
        clock.seconds = 2000.0
        with pytest.raises(KeyRejected, match="the API key has expired; ask an administrator for a new one"):
            await verifier.verify(secret)

    asyncio.run(use())


def test_the_last_use_is_written_at_most_once_an_hour(store: ApiKeyStore) -> None:
    clock = SettableClock(10_000.0)
    key, secret = store.add("shop", Role.USER, expires=None, created_by="ada", now=10_000.0)
    verifier = ApiKeyVerifier(store, clock=clock)
    seen: list[float | None] = []

    async def use() -> None:
        for seconds in (0, 10, USED_WRITTEN_S - 1, USED_WRITTEN_S, USED_WRITTEN_S + 5):
            clock.seconds = 10_000.0 + seconds
            await verifier.verify(secret)
            await asyncio.get_running_loop().run_in_executor(None, lambda: None)
            await asyncio.sleep(0.05)
            (found,) = store.all()
            seen.append(found.last_used)

    asyncio.run(use())

    assert key.last_used is None
    assert [10_000.0] * 3 + [10_000.0 + USED_WRITTEN_S] * 2 == seen


CREATORS: dict[str, tuple[Callable[[Gateway], object], str, dict[str, int]]] = {
    "unchanged": (lambda _: None, "admin", {"/users": 200, "/categories": 200}),
    "new password": (
        lambda gateway: gateway.issuer.users.change("bob", password="n" * 12),
        "admin",
        {"/users": 200, "/categories": 200},
    ),
    "demoted to reviewer": (
        lambda gateway: gateway.issuer.users.change("bob", role=Role.REVIEWER),
        "admin",
        {"/users": 403, "/categories": 200},
    ),
    "demoted, key of a user": (
        lambda gateway: gateway.issuer.users.change("bob", role=Role.USER),
        "user",
        {"/users": 403, "/categories": 200},
    ),
    "disabled": (
        lambda gateway: gateway.issuer.users.change("bob", disabled=True),
        "admin",
        {"/users": 403, "/categories": 200},
    ),
    "deleted": (lambda gateway: gateway.issuer.users.remove("bob"), "admin", {"/users": 403, "/categories": 200}),
    "another person of the same name": (
        lambda gateway: (gateway.issuer.users.remove("bob"), gateway.issuer.users.add("bob", PASSWORD, Role.ADMIN)),
        "admin",
        {"/users": 403, "/categories": 200},
    ),
}


@pytest.mark.parametrize("change", CREATORS)
def test_a_key_has_no_higher_role_than_its_creator_has_now(own_gateway: Gateway, change: str) -> None:
    own_gateway.issuer.users.add("bob", PASSWORD, Role.ADMIN)
    act, role, expected = CREATORS[change]
    secret = create(own_gateway, role=role, by="bob")["key"]

    act(own_gateway)

    assert expected == {path: call(own_gateway, secret, path).status_code for path in expected}


WITHOUT_KEYS = [route for route in ROUTES if route.refuses_api_keys]


@pytest.mark.parametrize("route", WITHOUT_KEYS, ids=lambda route: f"{route.method} {route.path}")
def test_a_key_of_an_admin_changes_neither_users_nor_keys(gateway: Gateway, route: Any) -> None:
    created = create(gateway, f"admin-{WITHOUT_KEYS.index(route)}", role="admin")
    path = route.path.replace("{name}", "ursula").replace("{key_id}", created["id"])

    reply = call(gateway, created["key"], path, route.method, json={"name": "mallory", "password": "p" * 12})

    assert (403, "urn:product-classifier:problem:api-key-refused") == (reply.status_code, reply.json()["type"])
    assert "log in as a user" in reply.json()["detail"]
    assert {"POST /users", "PATCH /users/{name}", "DELETE /users/{name}", "POST /keys", "DELETE /keys/{key_id}"} == {
        f"{one.method} {one.path}" for one in WITHOUT_KEYS
    }


INVALID: list[tuple[dict[str, Any], str]] = [
    ({}, "name: is missing"),
    ({"name": ""}, "name: must match"),
    ({"name": "Shop"}, "name: must match"),
    ({"name": "key:x"}, "name: must match"),
    ({"name": "a" * 65}, "name: must match"),
    ({"name": "x", "role": "root"}, "role: must be 'user', 'reviewer' or 'admin'"),
    ({"name": "x", "expires": 4_000_000_000}, "expires: must be a date and time with an offset"),
    ({"name": "x", "expires": "tomorrow"}, "expires: must be a date and time with an offset"),
    ({"name": "x", "expires": "2999-01-01T00:00:00"}, "expires: must be a date and time with an offset"),
    ({"name": "x", "expires": "2020-01-01T00:00:00Z"}, "is not in the future; give a later time"),
    ({"name": "x", "expires": "0001-01-01T00:00:00+23:00"}, "is not in the future; give a later time"),
    ({"name": "x", "key": "pck_"}, "key: is not a known field"),
    ({"name": "x", "created_by": "root"}, "created_by: is not a known field"),
]


@pytest.mark.parametrize(("body", "detail"), INVALID)
def test_an_invalid_key_is_described(gateway: Gateway, body: dict[str, Any], detail: str) -> None:
    with gateway.client("ada") as client:
        reply = client.post("/keys", json=body)

    assert (422, "application/problem+json") == (reply.status_code, reply.headers["content-type"])
    assert detail in reply.json()["detail"]


def test_a_name_is_used_once_and_the_number_of_keys_is_bounded(store: ApiKeyStore) -> None:
    def add(name: str) -> str:
        return store.add(name, Role.USER, expires=None, created_by="ada", now=0.0)[1]

    add("shop")
    with pytest.raises(Problem, match="'shop' already exists; choose another name"):
        add("shop")
    with closing(sqlite3.connect(store._database._path)) as connection, connection:
        connection.executemany(
            "INSERT INTO api_keys VALUES (?, ?, ?, 'user', 0, NULL, 'ada', NULL)",
            [(bytes([i // 256, i % 256]), f"{i:016x}", f"other-{i}") for i in range(MAX_KEYS - 1)],
        )
    with pytest.raises(Problem, match="the most; delete one first"):
        add("one-more")


def test_predictions_corrections_and_limits_of_a_key_are_its_own(tmp_path: Path) -> None:
    for gateway in start(tmp_path, rate_limit="3/minute"):
        gateway.issuer.users.add("shop", PASSWORD, Role.USER)
        created = create(gateway, "shop")
        statuses = [call(gateway, created["key"]).status_code for _ in range(2)]
        call(gateway, created["key"], "/feedback", "POST", json={})
        limited = call(gateway, created["key"])
        with gateway.client("shop") as client:
            person = client.get("/categories").status_code

        (forwarded,) = gateway.feedback.seen
        assert ([200, 200], 429, 200) == (statuses, limited.status_code, person)
        assert f"key:shop:{created['id']}" == forwarded.headers["x-auth-user"] == created["user"]
        assert "user" == forwarded.headers["x-auth-role"]
        assert "authorization" not in forwarded.headers


def test_keys_are_accepted_beside_an_external_issuer(tmp_path: Path) -> None:
    settings = Settings(state_dir=tmp_path, oidc_issuer="https://issuer.example", oidc_audience="shop")
    issuer = ExternalIssuer(
        RemoteKeys("https://issuer.example"),
        issuer="https://issuer.example",
        audience="shop",
        roles_claim="roles",
        token_types=("at+jwt",),
    )
    keys = open_api_keys(settings, issuer)
    assert keys is not None
    _, secret = keys.store.add("shop", Role.ADMIN, expires=None, created_by="auth0|5f7c", now=0.0)

    assert Role.ADMIN is asyncio.run(keys.verify(secret)).role
    assert open_api_keys(settings.model_copy(update={"api_keys": False}), issuer) is None
    keys.store.close()


@pytest.mark.parametrize("own_gateway", [{"api_keys": False}], indirect=True)
def test_without_api_keys_there_are_no_routes_and_no_key_is_accepted(own_gateway: Gateway) -> None:
    with own_gateway.client("ada") as client:
        routes = client.get("/openapi.json").json()["paths"]
        listed = client.get("/keys").status_code
    refused = call(own_gateway, new_secret())

    assert (False, 404, 401) == ("/keys" in routes, listed, refused.status_code)
    assert not (own_gateway.state / KEYS_FILE).exists()


def test_a_database_that_cannot_be_read_is_a_problem_and_users_stay_logged_in(own_gateway: Gateway) -> None:
    secret = create(own_gateway)["key"]
    (own_gateway.state / KEYS_FILE).rename(own_gateway.state / "kept")
    ApiKeyStore(own_gateway.state / KEYS_FILE).close()
    with own_gateway.client("ada") as client:
        replies = [client.get("/keys"), client.post("/keys", json={"name": "x"}), call(own_gateway, secret)]
        person, ready = client.get("/categories"), client.get("/readyz")

    assert {(503, "5")} == {(reply.status_code, reply.headers["retry-after"]) for reply in replies}
    assert "urn:product-classifier:problem:keys-unavailable" == replies[2].json()["type"]
    assert (200, 200, "degraded", False) == (
        person.status_code,
        ready.status_code,
        ready.json()["status"],
        ready.json()["checks"]["api_keys"],
    )


def test_an_unknown_role_in_the_database_is_a_problem(store: ApiKeyStore) -> None:
    store.add("shop", Role.USER, expires=None, created_by="ada", now=0.0)
    with closing(sqlite3.connect(store._database._path)) as connection, connection:
        connection.execute("UPDATE api_keys SET role = 'root'")

    with pytest.raises(KeysUnavailable):
        store.all()
