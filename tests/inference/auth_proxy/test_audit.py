"""The audit log of the gateway: what is recorded, when, and what happens if it cannot be."""

import asyncio
from collections.abc import Callable
from datetime import datetime, timedelta
from pathlib import Path
from typing import Any

import httpx
import pytest

from inference.auth_proxy.audit.audit_log import AuditLog, Requester
from inference.auth_proxy.audit.login_failures import LoginFailures
from inference.auth_proxy.auth.roles import Role
from inference.auth_proxy.auth.tokens import Identity
from inference.durability.writer import DurableWriter
from product_classifier.audit.audit_entries import AuditFilter, read_entries
from product_classifier.errors import NotDurable
from product_classifier.feedback.records import created_at
from product_classifier.store.journal import Journal
from tests.inference.auth_proxy.conftest import PASSWORD, Gateway, start
from tests.support.fakes import FakeStore

ID = "019ab0f2-7d1e-7c3a-9d55-0c8f6a4be111"


def events(gateway: Gateway, **query: Any) -> list[dict[str, Any]]:
    with gateway.client("ada") as client:
        reply = client.get("/audit", params=query)
    assert reply.status_code == 200, reply.text
    found: list[dict[str, Any]] = reply.json()["items"]
    return found


def create_key(client: httpx.Client, name: str) -> dict[str, Any]:
    created: dict[str, Any] = client.post("/keys", json={"name": name}).json()
    return created


ACTIONS: dict[str, tuple[Callable[[httpx.Client], httpx.Response], str, str, dict[str, Any]]] = {
    "user_created": (
        lambda client: client.post("/users", json={"name": "zoe", "password": "p" * 12, "role": "reviewer"}),
        "zoe",
        "done",
        {"role": "reviewer"},
    ),
    "user_changed": (
        lambda client: client.patch("/users/remy", json={"password": "q" * 12, "role": "admin"}),
        "remy",
        "done",
        {"role": "admin", "password_changed": True},
    ),
    "user_deleted": (lambda client: client.delete("/users/ursula"), "ursula", "done", {}),
    "key_created": (lambda client: client.post("/keys", json={"name": "shop"}), "key:shop:", "done", {"role": "user"}),
    "key_deleted": (
        lambda client: client.delete(f"/keys/{create_key(client, 'shop')['id']}"),
        "key:shop:",
        "done",
        {},
    ),
    "correction_approved": (lambda client: client.post(f"/feedback/{ID}/approve"), ID, "done", {}),
    "correction_rejected": (lambda client: client.post(f"/feedback/{ID}/reject"), ID, "done", {}),
    "run_requested": (lambda client: client.post("/retrain"), "", "done", {}),
    "login_succeeded": (
        lambda client: client.post("/token", data={"username": "ada", "password": PASSWORD}),
        "",
        "done",
        {},
    ),
}


@pytest.mark.parametrize("action", ACTIONS)
def test_an_action_is_recorded_with_who_when_and_from_where(own_gateway: Gateway, action: str) -> None:
    act, target, outcome, details = ACTIONS[action]
    with own_gateway.client("ada") as client:
        client.headers["X-Request-Id"] = "the-request"
        reply = act(client)

    (event,) = events(own_gateway, action=action)
    assert reply.status_code < 300, reply.text
    assert event["target"].startswith(target)
    assert details.items() <= event["details"].items()
    assert ("ada", "user", "admin", "127.0.0.1", "the-request", outcome, "") == tuple(
        event[name] for name in ("actor", "actor_kind", "role", "address", "request_id", "outcome", "reason")
    )
    assert abs(created_at(event["event_id"]) - datetime.fromisoformat(event["created"])) < timedelta(seconds=0.01)
    assert "q" * 12 not in str(event)


def _seconds(text: str) -> float:
    from datetime import datetime

    return datetime.fromisoformat(text).timestamp()


FAILURES: dict[str, tuple[Callable[[httpx.Client], httpx.Response], str]] = {
    "user_created": (
        lambda client: client.post("/users", json={"name": "ada", "password": "p" * 12}),
        "user 'ada' already exists; choose another name",
    ),
    "user_deleted": (lambda client: client.delete("/users/ada"), "'ada' is the last admin; create another one first"),
    "key_deleted": (lambda client: client.delete("/keys/0123456789abcdef"), "no API key has the id"),
}


@pytest.mark.parametrize("action", FAILURES)
def test_a_failed_action_is_recorded_with_its_reason(own_gateway: Gateway, action: str) -> None:
    act, reason = FAILURES[action]
    with own_gateway.client("ada") as client:
        act(client)

    (event,) = events(own_gateway, action=action)
    assert "failed" == event["outcome"]
    assert reason in event["reason"]


def test_an_action_of_the_feedback_service_that_it_refuses_is_recorded_as_failed(own_gateway: Gateway) -> None:
    own_gateway.feedback.status = 409
    with own_gateway.client("remy") as client:
        client.post(f"/feedback/{ID}/approve")

    (event,) = events(own_gateway, action="correction_approved")
    assert ("failed", "remy", "reviewer") == (event["outcome"], event["actor"], event["role"])


def test_an_action_of_a_key_names_the_key(own_gateway: Gateway) -> None:
    with own_gateway.client("ada") as client:
        created = client.post("/keys", json={"name": "shop", "role": "admin"}).json()
    with own_gateway.client(None) as client:
        client.post("/retrain", headers={"Authorization": f"Bearer {created['key']}"})

    (event,) = events(own_gateway, actor=created["user"])
    assert ("run_requested", "key", created["user"]) == (event["action"], event["actor_kind"], event["actor"])
    assert created["key"] not in str(own_gateway.store.objects)


def test_the_log_is_read_by_admins_only_and_no_route_changes_it(gateway: Gateway) -> None:
    statuses = {}
    for who in (None, "ursula", "remy", "ada"):
        with gateway.client(who) as client:
            statuses[who] = [client.request(method, "/audit").status_code for method in ("GET", "DELETE", "POST")]

    assert {
        None: [401, 405, 405],
        "ursula": [403, 405, 405],
        "remy": [403, 405, 405],
        "ada": [200, 405, 405],
    } == statuses


def test_pages_and_filters_of_two_gateways_on_one_store(tmp_path: Path) -> None:
    store = FakeStore()
    for first in start(tmp_path / "first", store=store):
        for second in start(tmp_path / "second", store=store):
            for gateway, name in ((first, "zoe"), (second, "zac"), (first, "zed")):
                with gateway.client("ada") as client:
                    client.post("/users", json={"name": name, "password": "p" * 12})
                    client.post("/token", data={"username": "remy", "password": PASSWORD})
            with second.client("ada") as client:
                pages = [client.get("/audit?limit=4").json()]
                pages.append(client.get("/audit", params={"limit": 4, "cursor": pages[0]["next_cursor"]}).json())
            created = events(second, action="user_created")
            since = events(second, since=created[1]["created"], action="user_created")
            until = events(second, until=created[1]["created"], actor="ada")

    targets = ["zed", "zac", "zoe"]
    assert targets == [event["target"] for event in created]
    assert (targets[:2], targets[2:]) == ([e["target"] for e in since], [e["target"] for e in until])
    assert ([4, 2], None) == ([len(page["items"]) for page in pages], pages[1]["next_cursor"])
    assert ["remy", "ada"] * 3 == [event["actor"] for page in pages for event in page["items"]]


QUERIES = [
    ("since=yesterday", 422, "since: must be a date and time with an offset"),
    ("since=0", 422, "since: must be a date and time with an offset"),
    ("until=2026-11-28", 422, "until: must be a date and time with an offset"),
    ("action=anything", 422, "action: must be 'user_created'"),
    ("limit=0", 422, "limit: must be at least 1"),
    ("limit=201", 422, "limit: must be at most 200"),
    ("cursor=x", 422, "cursor: 'x' is not a UUID"),
    ("actor=ada&actor=remy", 400, "'actor' is given twice; give it once"),
    ("user=ada", 422, "user: is not a known field"),
]


@pytest.mark.parametrize(("query", "status", "detail"), QUERIES)
def test_an_invalid_query_is_described(gateway: Gateway, query: str, status: int, detail: str) -> None:
    with gateway.client("ada") as client:
        reply = client.get(f"/audit?{query}")

    assert status == reply.status_code
    assert detail in reply.json()["detail"]


def test_what_cannot_be_recorded_is_not_done(own_gateway: Gateway, monkeypatch: pytest.MonkeyPatch) -> None:
    """Neither store nor journal accepts the event: admins are refused, and people still log in."""
    with own_gateway.client("ada") as client:
        key = create_key(client, "before")
        before = client.get("/users").json()

        def refuse(*_: object) -> None:
            raise NotDurable("the disk is full")

        monkeypatch.setattr(Journal, "append", refuse)
        own_gateway.store.away = True
        replies = [
            client.post("/users", json={"name": "zoe", "password": "p" * 12}),
            client.patch("/users/remy", json={"role": "admin"}),
            client.delete("/users/remy"),
            client.post("/keys", json={"name": "shop"}),
            client.delete(f"/keys/{key['id']}"),
            client.post("/retrain"),
            client.post(f"/feedback/{ID}/approve"),
        ]
        login = client.post("/token", data={"username": "remy", "password": PASSWORD}).status_code
        after, keys = client.get("/users").json(), client.get("/keys").json()["items"]

    assert {(503, "5", "urn:product-classifier:problem:audit-unavailable")} == {
        (reply.status_code, reply.headers["retry-after"], reply.json()["type"]) for reply in replies
    }
    assert (200, before, ["before"], []) == (login, after, [one["name"] for one in keys], own_gateway.feedback.seen)


def test_events_recorded_during_an_outage_are_listed_after_it(own_gateway: Gateway) -> None:
    own_gateway.store.away = True
    with own_gateway.client("ada") as client:
        created = client.post("/users", json={"name": "zoe", "password": "p" * 12})
        during = client.get("/audit")
        own_gateway.store.away = False
        for _ in range(100):
            if items := client.get("/audit?action=user_created").json()["items"]:
                break
            client.get("/readyz")
            asyncio.run(asyncio.sleep(0.05))

    assert (201, 503, ["zoe"], "done") == (
        created.status_code,
        during.status_code,
        [item["target"] for item in items],
        items[0]["outcome"],
    )


def test_failed_logins_are_recorded_without_names_that_no_user_has(own_gateway: Gateway) -> None:
    with own_gateway.client(None) as client:
        for name in ("remy", "remy", "remy", "hunter2", "Passw0rd typed as a name"):
            client.post("/token", data={"username": name, "password": "wrong"})
        for _ in range(100):
            if len(found := events(own_gateway, action="login_failed")) == 2:
                break
            asyncio.run(asyncio.sleep(0.05))

    assert {("remy", "user", 1), ("", "unknown", 1)} == {
        (event["actor"], event["actor_kind"], event["details"]["failures"]) for event in found
    }
    assert not [key for key, data in own_gateway.store.objects.items() if b"unter2" in data or b"assw0rd" in data]


@pytest.mark.parametrize("addresses", [1, 10, 500])
def test_any_number_of_failed_logins_is_a_bounded_number_of_events(tmp_path: Path, addresses: int) -> None:
    store = FakeStore()
    writer = DurableWriter(store, Journal(tmp_path / "journal", max_bytes=1 << 20), probe_key="audit/probe")
    guesses = 2000

    async def guess() -> None:
        failures = LoginFailures(AuditLog(writer, store), window_s=60, max_windows=100)
        for number in range(guesses):
            address = f"10.0.{number % addresses // 250}.{number % addresses % 250}"
            failures.add(Requester(Identity("ada", Role.ADMIN), address, "request"))
        await failures.close()

    asyncio.run(guess())

    page = read_entries(store, AuditFilter(), limit=1000, now=created_at(max(store.objects).split("/")[2][:36]))
    counts = [item.event.details["failures"] for item in page.items if item.event]
    assert guesses == sum(int(str(count)) for count in counts)
    assert len(counts) <= 2 * min(addresses, 101)
