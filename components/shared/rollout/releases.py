"""List the published releases, and roll back to one of them."""

import json
from collections.abc import Iterator
from dataclasses import dataclass
from datetime import UTC, datetime

from components.shared.rollout import history
from components.shared.rollout.rollout import Rollout
from components.shared.rollout.switch import Switch, SwitchResult
from product_classifier.audit.audit_events import AuditAction, AuditEvent, AuditOutcome, operator_name, record_event
from product_classifier.errors import InvalidInput, ObjectNotFound, ProductClassifierError
from product_classifier.feedback.records import new_id
from product_classifier.releases.release import MANIFEST
from product_classifier.retraining import read_snapshot
from product_classifier.store import ObjectStore

ROLLBACKS = "reports/rollbacks/"
"""Prefix of the records of rollbacks, each with the releases before and after."""


class NoRelease(ProductClassifierError):
    """There is no release to roll back to; the message has the reason."""


@dataclass(frozen=True, slots=True)
class StoredRelease:
    """A published release."""

    release: str
    created: str
    weighted_f1: float | None
    """Weighted F1 on the hold-out when it was trained; None if unknown."""
    hold_out: str
    """Digest of that hold-out: F1 of different ones cannot be compared; empty if unknown."""
    corrections: int | None
    """Number of corrections it was trained with; None if the snapshot is lost."""
    state: str
    """`champion`, `former champion`, `refused` or `not compared`."""


def stored_releases(store: ObjectStore, rollout: Rollout) -> Iterator[StoredRelease]:
    """Yield the releases of the store, newest first, without those whose manifest is damaged."""
    current = rollout.current()
    names = (key.split("/")[1] for key in store.list("models/") if key.count("/") == 2 and key.endswith(MANIFEST))
    for release in sorted(names, reverse=True):
        try:
            values = json.loads(store.get(f"models/{release}/{MANIFEST}"))
            created, scores = str(values["created"]), values["metrics"].get("fusion", {})
            hold_out = str(values["metrics"].get("test_set") or "")
            count = _corrections(store, values.get("corrections"))
        except (ValueError, KeyError, TypeError, AttributeError, ObjectNotFound):
            continue
        yield StoredRelease(
            release, created, scores.get("weighted_f1"), hold_out, count, _state(store, release, current)
        )


def roll_back(switch: Switch, release: str = "") -> SwitchResult:
    """Deploy a published release again, by default the one before the current, and record it.

    The current release is deployed again only if servers still name a release that was deleted.

    Raises:
        NoRelease: If it is deployed already, or no release before it is known.
    """
    current = switch.rollout.current()
    chosen = release or _before(switch.store, current)
    if chosen == current:
        return _forget_deleted(switch, chosen)
    switched = switch.deploy(chosen, current)
    now = datetime.now(UTC)
    record = {"from": current, "to": chosen, "done": switched.done, "reasons": switched.reasons, "at": now.isoformat()}
    switch.store.put(f"{ROLLBACKS}{now:%Y%m%dT%H%M%S%f}.json", json.dumps(record).encode())
    record_event(switch.store, _rollback_event(chosen, current, switched, now))
    return SwitchResult(switched.done, switched.reasons or (f"{chosen} is deployed instead of {current}",))


def _rollback_event(release: str, before: str | None, switched: SwitchResult, now: datetime) -> AuditEvent:
    outcome = AuditOutcome(outcome="done" if switched.done else "failed", reason="; ".join(switched.reasons))
    return AuditEvent(
        event_id=new_id(now),
        created=now,
        action=AuditAction.RELEASE_ROLLED_BACK,
        actor=operator_name(),
        actor_kind="operator",
        target=release,
        details={"champion_before": before},
        outcome=outcome,
    )


def _forget_deleted(switch: Switch, current: str) -> SwitchResult:
    """Deploy the current release again, so that servers no longer name releases that were deleted."""
    others = switch.rollout.in_use() - {current}
    deleted = sorted(one for one in others if not switch.store.exists(f"models/{one}/{MANIFEST}"))
    if not deleted:
        raise NoRelease(f"{current}: is deployed already; name another release")
    switched = switch.deploy(current, current)
    told = f"{current} stays deployed; servers no longer name {', '.join(deleted)}, deleted from the store"
    return SwitchResult(switched.done, switched.reasons or (told,))


def _before(store: ObjectStore, current: str | None) -> str:
    promotion = history.find(store, current) if current else None
    if promotion is None or promotion.champion is None:
        raise NoRelease(f"{current or 'champion'}: no release is known to have been deployed before; name a release")
    return promotion.champion


def _corrections(store: ObjectStore, snapshot: str | None) -> int | None:
    try:
        return len(read_snapshot(store, snapshot).corrections) if snapshot else 0
    except (InvalidInput, ObjectNotFound):
        return None


def _state(store: ObjectStore, release: str, current: str | None) -> str:
    if release == current:
        return "champion"
    promotion = history.find(store, release)
    if promotion is None:
        return "not compared"
    return "former champion" if promotion.promoted else "refused"
