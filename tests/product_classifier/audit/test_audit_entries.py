"""Pages of the audit log: order, filters, cursors, damaged and incomplete events."""

from datetime import UTC, datetime, timedelta

import pytest
from hypothesis import given
from hypothesis import strategies as st

from product_classifier.audit import audit_entries
from product_classifier.audit.audit_entries import AuditFilter, read_entries
from product_classifier.audit.audit_events import AuditEvent, AuditOutcome, record_event, repeatable_id
from product_classifier.errors import StoreUnavailable
from product_classifier.feedback.records import new_id
from tests.support.fakes import FakeStore

NOW = datetime(2026, 11, 28, 12, 0, tzinfo=UTC)
ACTORS = ("ada", "key:shop:0123456789abcdef", "auth0|5f/..%", "é")
ACTIONS = ("user_created", "login_failed")


def event(created: datetime, actor: str = "ada", action: str = "user_created") -> AuditEvent:
    return AuditEvent(event_id=new_id(created), created=created, action=action, actor=actor, actor_kind="user")


def all_pages(store: FakeStore, chosen: AuditFilter, limit: int) -> list[str]:
    found: list[str] = []
    cursor = None
    while True:
        page = read_entries(store, chosen, limit=limit, cursor=cursor, now=NOW)
        assert len(page.items) <= limit
        found += [item.event_id for item in page.items]
        if (cursor := page.next_cursor) is None:
            return found


MOMENTS = st.integers(min_value=-4 * 86_400, max_value=3600).map(lambda seconds: NOW + timedelta(seconds=seconds))
EVENTS = st.lists(st.tuples(MOMENTS, st.sampled_from(ACTORS), st.sampled_from(ACTIONS)), max_size=12)


@given(
    EVENTS,
    st.none() | MOMENTS,
    st.none() | MOMENTS,
    st.none() | st.sampled_from(ACTORS),
    st.none() | st.sampled_from(ACTIONS),
    st.integers(min_value=1, max_value=5),
)
def test_the_pages_together_are_the_chosen_events_newest_first(
    made: list[tuple[datetime, str, str]],
    since: datetime | None,
    until: datetime | None,
    actor: str | None,
    action: str | None,
    limit: int,
) -> None:
    store = FakeStore()
    events = [event(*one) for one in made]
    for one in events:
        record_event(store, one)
        store.put(one.outcome_key, AuditOutcome(outcome="done").to_json())

    expected = [
        one.event_id
        for one in sorted(events, key=lambda one: one.event_id, reverse=True)
        if (since is None or one.created >= since)
        and (until is None or one.created < until)
        and actor in {None, one.actor}
        and action in {None, one.action}
    ]
    assert expected == all_pages(store, AuditFilter(since, until, actor, action), limit)


def test_a_filter_reads_only_the_events_it_lists(monkeypatch: pytest.MonkeyPatch) -> None:
    store = FakeStore()
    for minute in range(50):
        record_event(store, event(NOW - timedelta(minutes=minute), action="login_failed"))
    record_event(store, event(NOW - timedelta(days=2)))
    read: list[str] = []
    monkeypatch.setattr(store, "get", lambda key: (read.append(key), store.objects[key])[1])

    page = read_entries(store, AuditFilter(action="user_created"), limit=10, now=NOW)

    assert (1, 1, None) == (len(page.items), len(read), page.next_cursor)


def test_outcomes_are_those_of_their_events() -> None:
    store = FakeStore()
    done, failed, unknown, single, damaged = (event(NOW + timedelta(seconds=number)) for number in range(5))
    single = single.model_copy(update={"outcome": AuditOutcome(outcome="done", reason="gate")})
    for one in (done, failed, unknown, single, damaged):
        record_event(store, one)
    store.put(done.outcome_key, AuditOutcome(outcome="done", target="r-1").to_json())
    store.put(failed.outcome_key, AuditOutcome(outcome="failed", reason="409").to_json())
    store.put(damaged.key, b"{")

    items = read_entries(store, AuditFilter(), limit=10, now=NOW).items

    assert [
        (None, None),
        (single, AuditOutcome(outcome="done", reason="gate")),
        (unknown, None),
        (failed, AuditOutcome(outcome="failed", reason="409")),
        (done, AuditOutcome(outcome="done", target="r-1")),
    ] == [(item.event, item.outcome) for item in items]


def test_days_without_events_are_bounded_per_page(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(audit_entries, "MAX_DAYS", 10)
    store = FakeStore()
    old = event(NOW - timedelta(days=35))
    record_event(store, old)

    first = read_entries(store, AuditFilter(), limit=10, now=NOW)

    assert ((), True) == (first.items, first.next_cursor is not None)
    assert [old.event_id] == all_pages(store, AuditFilter(), 10)


def test_an_event_of_a_newer_version_is_listed() -> None:
    store = FakeStore()
    one = event(NOW, action="taxonomy_merged")
    data = one.to_json().replace(b'"actor_kind"', b'"signature":"x","actor_kind"')
    store.put(one.key, data)

    (item,) = read_entries(store, AuditFilter(), limit=10, now=NOW).items

    assert ("taxonomy_merged", one) == (item.action, item.event)


def test_an_unavailable_store_is_an_error_and_foreign_objects_are_none() -> None:
    store = FakeStore()
    store.put("audit/README", b"")
    store.put("audit/dt=2026-11-28/notes.txt", b"")

    assert () == read_entries(store, AuditFilter(), limit=10, now=NOW).items
    store.away = True
    with pytest.raises(StoreUnavailable):
        read_entries(store, AuditFilter(), limit=10, now=NOW)


def test_a_repeated_event_is_one_event() -> None:
    store = FakeStore()
    ids = {repeatable_id(NOW, "r-1") for _ in range(3)}
    for identifier in [*ids, *ids]:
        record_event(store, event(NOW).model_copy(update={"event_id": identifier}))

    assert 1 == len(ids) == len(store.objects)
    assert repeatable_id(NOW, "r-2") not in ids
