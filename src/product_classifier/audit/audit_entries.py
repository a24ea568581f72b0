"""Pages of the audit log, newest first."""

import uuid
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from datetime import UTC, date, datetime, timedelta

from product_classifier.audit.audit_events import (
    AUDIT_PREFIX,
    OUTCOME_SUFFIX,
    AuditEvent,
    AuditOutcome,
    actor_digest,
    day_prefix,
)
from product_classifier.errors import InvalidInput, ObjectNotFound, StoreUnavailable
from product_classifier.feedback.records import created_at
from product_classifier.store import ObjectStore

READERS = 8
"""Objects that are read concurrently."""
MAX_DAYS = 400
"""Days that are listed for one page; the next page continues."""
ONE_DAY = timedelta(days=1)


@dataclass(frozen=True, slots=True)
class AuditFilter:
    """Which events to list; None is any."""

    since: datetime | None = None
    """Earliest time."""
    until: datetime | None = None
    """Time before which they were."""
    actor: str | None = None
    action: str | None = None


@dataclass(frozen=True, slots=True)
class AuditEntry:
    """One listed event."""

    event_id: str
    action: str
    event: AuditEvent | None
    """None if the object is damaged."""
    outcome: AuditOutcome | None
    """None if the process ended before it was known."""


@dataclass(frozen=True, slots=True)
class AuditEntries:
    """A page; `next_cursor` is None on the last."""

    items: tuple[AuditEntry, ...]
    next_cursor: str | None


@dataclass(frozen=True, slots=True)
class _ListedKey:
    event_id: str
    action: str
    key: str
    outcome_key: str | None


def read_entries(
    store: ObjectStore, chosen: AuditFilter, *, limit: int, cursor: str | None = None, now: datetime
) -> AuditEntries:
    """Return the newest events before the event `cursor`, at one listing per day and one read per event.

    Raises:
        StoreUnavailable: If the store cannot be read.
    """
    bounds = [now + ONE_DAY, chosen.until, created_at(cursor) if cursor else None]
    newest = min(bound for bound in bounds if bound is not None).astimezone(UTC).date()
    oldest = _oldest_day(store)
    if oldest is not None and chosen.since is not None:
        oldest = max(oldest, chosen.since.astimezone(UTC).date())
    found: list[_ListedKey] = []
    day = newest
    while oldest is not None and day >= oldest:
        if (newest - day).days >= MAX_DAYS:
            return AuditEntries(_read_all(store, found), _first_id_after(day))
        for listed in reversed(list(_listed(store, day, chosen, cursor))):
            if len(found) == limit:
                return AuditEntries(_read_all(store, found), found[-1].event_id)
            found.append(listed)
        day -= ONE_DAY
    return AuditEntries(_read_all(store, found), None)


def _oldest_day(store: ObjectStore) -> date | None:
    for key in store.list(AUDIT_PREFIX):
        try:
            return date.fromisoformat(key.removeprefix(f"{AUDIT_PREFIX}dt=").partition("/")[0])
        except ValueError:
            continue  # not an event
    return None


def _listed(store: ObjectStore, day: date, chosen: AuditFilter, cursor: str | None) -> Iterator[_ListedKey]:
    """Yield the chosen events of a day, oldest first."""
    prefix = day_prefix(day.isoformat())
    wanted_actor = None if chosen.actor is None else actor_digest(chosen.actor)
    pending: _ListedKey | None = None
    for key in store.list(prefix):
        event_id, _, rest = key.removeprefix(prefix).partition(".")
        action, _, rest = rest.partition(".")
        actor, _, _ = rest.partition(".")
        if cursor is not None and event_id >= cursor:
            break
        if key.endswith(OUTCOME_SUFFIX):
            if pending is not None and pending.event_id == event_id:
                pending = _ListedKey(event_id, action, pending.key, key)
            continue
        if pending is not None:
            yield pending
        pending = None
        if (
            _is_within(event_id, chosen)
            and chosen.action in {None, action}
            and (wanted_actor is None or actor == wanted_actor)
        ):
            pending = _ListedKey(event_id, action, key, None)
    if pending is not None:
        yield pending


def _is_within(event_id: str, chosen: AuditFilter) -> bool:
    try:
        created = created_at(event_id)
    except InvalidInput:
        return False
    return (chosen.since is None or created >= chosen.since) and (chosen.until is None or created < chosen.until)


def _read_all(store: ObjectStore, found: list[_ListedKey]) -> tuple[AuditEntry, ...]:
    with ThreadPoolExecutor(READERS, "audit-reader") as readers:
        return tuple(readers.map(lambda listed: _read(store, listed), found))


def _read(store: ObjectStore, listed: _ListedKey) -> AuditEntry:
    data = _get(store, listed.key)
    outcome_data = _get(store, listed.outcome_key) if listed.outcome_key else None
    try:
        event = AuditEvent.from_json(data, listed.key)
        outcome = event.outcome
        if listed.outcome_key and outcome_data is not None:
            outcome = AuditOutcome.from_json(outcome_data, listed.outcome_key)
    except StoreUnavailable:
        return AuditEntry(listed.event_id, listed.action, None, None)
    return AuditEntry(listed.event_id, listed.action, event, outcome)


def _get(store: ObjectStore, key: str) -> bytes:
    try:
        return store.get(key)
    except ObjectNotFound:  # deleted since it was listed
        return b""


def _first_id_after(day: date) -> str:
    """Return the smallest id of the day after, before which all events of `day` are."""
    midnight = datetime(day.year, day.month, day.day, tzinfo=UTC) + ONE_DAY
    return str(uuid.UUID(int=int(midnight.timestamp() * 1000) << 80 | 7 << 76 | 0b10 << 62))
