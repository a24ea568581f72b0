"""Login in a browser with a password: cookie, CSRF token, rotation, revocation."""

from pathlib import Path
from typing import Any

import httpx
import pytest

from inference.auth_proxy.__main__ import make_verifier
from inference.auth_proxy.auth.roles import Role
from inference.auth_proxy.auth.session_cookies import SESSION_COOKIE, SessionEnded
from inference.auth_proxy.auth.sessions import ROTATED_AFTER_S, Sessions
from inference.auth_proxy.auth.tokens import EmbeddedIssuer, WallClock
from inference.auth_proxy.settings import Settings
from tests.inference.auth_proxy.conftest import PASSWORD, Gateway


def make_issuer(state: Path) -> EmbeddedIssuer:
    issuer = make_verifier(Settings(state_dir=state))
    assert isinstance(issuer, EmbeddedIssuer)
    return issuer


def log_in(client: httpx.Client, name: str = "ursula") -> dict[str, Any]:
    """Log in and return the body of the response; the client keeps the cookie."""
    reply = client.post("/login", data={"username": name, "password": PASSWORD})
    assert 200 == reply.status_code, reply.text
    me: dict[str, Any] = reply.json()
    return me


def test_a_login_sets_a_cookie_that_scripts_cannot_read(gateway: Gateway) -> None:
    with gateway.client(None) as client:
        reply = client.post("/login", data={"username": "remy", "password": PASSWORD})
        me = client.get("/me")

    name, *attributes = reply.headers["set-cookie"].split("; ")
    assert name.startswith(f"{SESSION_COOKIE}=")
    assert {"Path=/", "HttpOnly", "SameSite=Strict", "Max-Age=43200"} == set(attributes)
    assert reply.json() == me.json()
    assert ("remy", "reviewer", "embedded") == tuple(me.json()[key] for key in ("name", "role", "issuer"))
    assert {"root_path", "users", "api_keys", "feedback", "limits"} == set(me.json()["settings"])


def test_a_form_is_answered_with_a_redirect_and_with_the_form_on_a_wrong_password(own_gateway: Gateway) -> None:
    form = {"username": "ursula", "password": PASSWORD, "next": "/queue?x=1"}
    with own_gateway.client(None) as client:
        page = client.get("/login", params={"next": "/queue"})
        wrong = client.post("/login", data={**form, "password": "no"}, headers={"Accept": "text/html"})
        right = client.post("/login", data=form, headers={"Accept": "text/html"})

    assert (200, "text/html; charset=utf-8") == (page.status_code, page.headers["content-type"])
    assert 'value="/queue"' in page.text
    assert (401, True) == (wrong.status_code, "the name or the password is wrong" in wrong.text)
    assert (303, "/queue?x=1") == (right.status_code, right.headers["location"])


@pytest.mark.parametrize(
    "next_path", ["//evil.example", "/\\evil.example", "https://evil.example", "", "queue", "/a\nb"]
)
def test_a_login_leads_to_paths_of_this_site_only(gateway: Gateway, next_path: str) -> None:
    with gateway.client(None) as client:
        page = client.get("/login", params={"next": next_path})
        form = {"username": "ursula", "password": PASSWORD, "next": next_path}
        posted = client.post("/login", data=form, headers={"Accept": "text/html"})

    assert (422, 422) == (page.status_code, posted.status_code)


@pytest.mark.parametrize(("token", "status"), [(None, 403), ("", 403), ("wrong", 403), ("right", 200)])
def test_writing_with_a_cookie_needs_the_csrf_token(gateway: Gateway, token: str | None, status: int) -> None:
    with gateway.client(None) as client:
        me = log_in(client)
        headers = {} if token is None else {"X-CSRF-Token": me["csrf_token"] if token == "right" else token}
        reply = client.post("/predict", json={"designation": "x"}, headers=headers)
        read = client.get("/categories")

    assert (status, 200) == (reply.status_code, read.status_code)
    if status == 403:
        assert "X-CSRF-Token: is not that of the session" in reply.json()["detail"]


def test_a_login_form_of_another_site_is_refused(gateway: Gateway) -> None:
    form = {"username": "ursula", "password": PASSWORD}
    with gateway.client(None) as client:
        reply = client.post("/login", data=form, headers={"Sec-Fetch-Site": "cross-site"})

    assert (403, None) == (reply.status_code, reply.headers.get("set-cookie"))


def test_a_bearer_token_wins_over_the_cookie_and_needs_no_csrf_token(gateway: Gateway) -> None:
    with gateway.client(None) as client:
        log_in(client, "ursula")
        me = client.get("/me", headers=gateway.headers("ada")).json()
        written = client.post("/predict", json={"designation": "x"}, headers=gateway.headers("ada"))

    assert ("ada", None, None) == (me["name"], me["csrf_token"], me["expires"])
    assert 200 == written.status_code


def test_a_logout_ends_the_session_of_every_copy_of_the_cookie(gateway: Gateway) -> None:
    with gateway.client(None) as client, gateway.client(None) as other:
        csrf = log_in(client)["csrf_token"]
        other.cookies.update(client.cookies)
        refused = client.post("/logout")
        reply = client.post("/logout", headers={"X-CSRF-Token": csrf})
        repeated = client.post("/logout")
        statuses = [one.get("/me").status_code for one in (client, other)]

    assert (403, 200, 200) == (refused.status_code, reply.status_code, repeated.status_code)
    assert "Max-Age=0" in reply.headers["set-cookie"]
    assert {"issuer_logout_url": None} == reply.json()
    assert [401, 401] == statuses


@pytest.mark.parametrize(
    "change", [{"role": Role.USER}, {"disabled": True}, {"password": "another password"}, None], ids=str
)
def test_a_changed_user_loses_the_session_at_once(own_gateway: Gateway, change: dict[str, Any] | None) -> None:
    with own_gateway.client(None) as client:
        log_in(client, "remy")
        before = client.get("/me").status_code
        if change is None:
            own_gateway.issuer.users.remove("remy")
        else:
            own_gateway.issuer.users.change("remy", **change)
        after = client.get("/me")

    assert (200, 401) == (before, after.status_code)
    assert "the session has ended; log in again" == after.json()["detail"]


@pytest.mark.parametrize("cookie", ["x", "", "gAAAAA" + "A" * 100, "é"])
def test_a_forged_cookie_is_401(gateway: Gateway, cookie: str) -> None:
    with gateway.client(None) as client:
        header = f"other=1; {SESSION_COOKIE}={cookie}".encode()
        reply = client.get("/me", headers=[(b"cookie", header)])

    assert 401 == reply.status_code


def test_a_repeated_cookie_header_has_no_single_meaning(gateway: Gateway) -> None:
    with gateway.client(None) as client:
        reply = client.get("/me", headers=[("cookie", "a=1"), ("cookie", "b=2")])

    assert 400 == reply.status_code


@pytest.mark.parametrize("own_gateway", [{"root_path": "/shop", "trusted_proxies": ["127.0.0.0/8"]}], indirect=True)
def test_behind_a_proxy_the_cookie_has_the_root_path_and_is_secure(own_gateway: Gateway) -> None:
    form = {"username": "ursula", "password": PASSWORD, "next": "/queue"}
    with own_gateway.client(None) as client:
        headers = {"X-Forwarded-Proto": "https", "Accept": "text/html"}
        secure = client.post("/login", data=form, headers=headers)
        plain = client.post("/login", data=form)

    assert "/shop/queue" == secure.headers["location"]
    assert {"Path=/shop", "Secure"} <= set(secure.headers["set-cookie"].split("; "))
    assert "Secure" not in plain.headers["set-cookie"]


class Clock:
    """A clock that a test sets."""

    def __init__(self) -> None:
        self.seconds = 1_800_000_000.0

    def __call__(self) -> float:
        return self.seconds


@pytest.fixture
def clock() -> Clock:
    return Clock()


@pytest.fixture
def sessions(tmp_path: Path, clock: Clock) -> tuple[Sessions, EmbeddedIssuer]:
    verifier = make_issuer(tmp_path)
    return (
        Sessions(verifier, b"s" * 40, tmp_path, ttl_s=7200, idle_s=1800, clock=WallClock(clock, clock)),
        verifier,
    )


async def test_a_cookie_is_replaced_after_some_minutes(sessions: tuple[Sessions, EmbeddedIssuer], clock: Clock) -> None:
    found, issuer = sessions
    started = found.start(issuer.users.add("ursula", PASSWORD, Role.USER))
    clock.seconds += ROTATED_AFTER_S - 2
    early = await found.verify(started.new_cookie)
    clock.seconds += 3
    later = await found.verify(started.new_cookie)
    renewed = await found.verify(later.new_cookie)

    assert ("", True, "") == (early.new_cookie, bool(later.new_cookie), renewed.new_cookie)
    assert started.session == later.session == renewed.session


@pytest.mark.parametrize(("pauses", "valid"), [([1700, 1700], True), ([1801], False), ([1700] * 4 + [500], False)])
async def test_a_session_ends_unused_and_after_its_longest_duration(
    sessions: tuple[Sessions, EmbeddedIssuer], clock: Clock, pauses: list[int], valid: bool
) -> None:
    found, issuer = sessions
    cookie = found.start(issuer.users.add("ursula", PASSWORD, Role.USER)).new_cookie
    try:
        for pause in pauses:
            clock.seconds += pause
            cookie = (await found.verify(cookie)).new_cookie
    except SessionEnded:
        assert not valid
    else:
        assert valid


async def test_sessions_are_accepted_by_gateways_with_the_same_secret_only(tmp_path: Path) -> None:
    verifier = make_issuer(tmp_path)
    user = verifier.users.add("ursula", PASSWORD, Role.USER)
    first, same, other = (
        Sessions(verifier, secret, tmp_path / name, ttl_s=60, idle_s=60)
        for name, secret in (("a", b"s" * 40), ("b", b"s" * 40), ("c", b"t" * 40))
    )
    cookie = first.start(user).new_cookie

    assert "ursula" == (await same.verify(cookie)).identity.name
    with pytest.raises(SessionEnded):
        await other.verify(cookie)
