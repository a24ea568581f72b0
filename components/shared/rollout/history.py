"""Outcome of each release's promotion: `reports/promotions/<release>.json`, written once."""

from contextlib import suppress
from datetime import datetime
from typing import Any

from product_classifier.audit.audit_events import (
    PIPELINE,
    AuditAction,
    AuditEvent,
    AuditOutcome,
    record_event,
    repeatable_id,
)
from product_classifier.errors import ObjectExists, ObjectNotFound
from product_classifier.feedback.records import Record
from product_classifier.store import ObjectStore

PREFIX = "reports/promotions/"


class Promotion(Record):
    """Outcome of a promotion."""

    release: str
    champion: str | None
    """The release it was compared with, and replaced if it was promoted."""
    promoted: bool
    reasons: tuple[str, ...]
    metrics: dict[str, Any]
    decided: datetime


def record(store: ObjectStore, promotion: Promotion, report: bytes) -> Promotion:
    """Write the outcome and the page of a promotion; return the outcome written first for this release."""
    with suppress(ObjectExists):  # an interrupted call wrote it
        store.put(f"{PREFIX}{promotion.release}.html", report, only_if_absent=True)
    try:
        store.put(_key(promotion.release), promotion.to_json(), only_if_absent=True)
    except ObjectExists:
        return find(store, promotion.release) or promotion
    return promotion


def record_in_audit_log(store: ObjectStore, promotion: Promotion, run_id: str) -> None:
    """Write the outcome of a promotion to the audit log, once however often it is called."""
    action = AuditAction.RELEASE_PROMOTED if promotion.promoted else AuditAction.RELEASE_REFUSED
    event = AuditEvent(
        event_id=repeatable_id(promotion.decided, promotion.release),
        created=promotion.decided,
        action=action,
        actor=PIPELINE,
        actor_kind="pipeline",
        target=promotion.release,
        details={"run_id": run_id, "champion_before": promotion.champion, "reasons": list(promotion.reasons)},
        outcome=AuditOutcome(outcome="done"),
    )
    record_event(store, event)


def find(store: ObjectStore, release: str) -> Promotion | None:
    """Return the outcome of a release's promotion; None while there is none."""
    try:
        return Promotion.from_json(store.get(_key(release)), _key(release))
    except ObjectNotFound:
        return None


def has_ended(store: ObjectStore, release: str) -> bool:
    """Return whether the promotion of a release has an outcome."""
    return store.exists(_key(release))


def _key(release: str) -> str:
    return f"{PREFIX}{release}.json"
