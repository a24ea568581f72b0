"""`python -m pipelines erase`: erase one user or one product, and list what else has them."""

import json
from collections.abc import Iterator
from datetime import UTC, datetime

from rich.console import Console

from pipelines.settings import PipelineSettings
from product_classifier.audit.audit_events import AuditAction, AuditEvent, AuditOutcome, operator_name, record_event
from product_classifier.errors import InvalidInput, ObjectNotFound
from product_classifier.feedback.erasure import Erasure, erase_product, erase_user
from product_classifier.feedback.queue_records import ENTRIES_PREFIX
from product_classifier.feedback.records import new_id
from product_classifier.monitoring.drift_windows import LATEST, PREFIX
from product_classifier.releases.release import MANIFEST
from product_classifier.retraining.snapshot import read_items
from product_classifier.store import ObjectStore, open_store

SHA256_CHARACTERS = 64
REMAINING = (
    "not changed by this command:",
    "  indexes: stop the feedback service and the trigger, delete their indexes in {state} and start them again",
    "  journals ({state}/*-journal) hold records while the store is unavailable: repeat the command after",
    "  backups and versions of the object store: erase there as well",
    "  snapshots (datasets/), frozen by their digest: delete those of the releases above once these are retired",
    "  MLflow; audit/, which is append-only; the account: DELETE /users/NAME",
)
"""What else may have what was erased."""


def erase(settings: PipelineSettings, user: str, product: str, console: Console, *, dry_run: bool) -> Erasure:
    """Erase a user or a product; print what was erased, which releases used it, and what remains.

    Raises:
        InvalidInput: If neither or both are given.
        StoreUnavailable: If the store cannot be reached; repeat the command then.
    """
    if bool(user) == bool(product):
        raise InvalidInput("--user, --product: give one of them: the name of a user, or the SHA-256 of a product")
    if product and (len(product) != SHA256_CHARACTERS or set(product) - set("0123456789abcdef")):
        raise InvalidInput(
            f"--product: {product!r:.80} is no SHA-256; give that of the photo or the key of the product"
        )
    store = open_store(settings.store)
    found = erase_user(store, user, dry_run=dry_run) if user else erase_product(store, product, dry_run=dry_run)
    shown = {*found.prediction_ids, product} if product else set()
    reports = list(_reports_with(store, shown)) if shown else []
    if not dry_run:
        for key in reports:
            store.delete(key)
        _record(store, found, "user" if user else "product")
    _print(settings, store, found, reports, console, dry_run=dry_run)
    return found


def _reports_with(store: ObjectStore, names: set[str]) -> Iterator[str]:
    """Yield the keys of drift reports, their pages and queues that show one of these products."""
    for prefix in (PREFIX, ENTRIES_PREFIX):
        for key in list(store.list(prefix)):
            if key.endswith(".json") and any(name in names for name in _quoted(store, key)):
                yield key
                page = key.removesuffix(".json") + ".html"
                if key != LATEST and store.exists(page):
                    yield page


def _quoted(store: ObjectStore, key: str) -> Iterator[str]:
    try:
        text = store.get(key).decode(errors="replace")
    except ObjectNotFound:
        return
    yield from text.split('"')[1::2]


def _record(store: ObjectStore, found: Erasure, what: str) -> None:
    now = datetime.now(UTC)
    details = {**found.records, "parts": len(found.parts), "photos": len(found.photos)}
    event = AuditEvent(
        event_id=new_id(now),
        created=now,
        action=AuditAction.DATA_ERASED,
        actor=operator_name(),
        actor_kind="operator",
        target=what,
        details=json.loads(json.dumps(details)),
        outcome=AuditOutcome(outcome="done"),
    )
    record_event(store, event)


def _print(
    settings: PipelineSettings,
    store: ObjectStore,
    found: Erasure,
    reports: list[str],
    console: Console,
    *,
    dry_run: bool,
) -> None:
    verb = "would be erased" if dry_run else "erased"
    records = ", ".join(f"{count} {kind}s" for kind, count in sorted(found.records.items())) or "no record"
    counts = f"{len(found.objects)} objects, {len(found.parts)} parts of the log, {len(found.photos)} photos"
    lines = [
        f"{verb}: {records}; {counts}, {len(reports)} reports",
        *(f"  {key}" for key in (*found.objects, *found.parts, *found.photos, *reports)),
    ]
    learned = list(_releases_trained_with(store, found.feedback_ids))
    lines += [f"learned from it: {release}; retrain or retire it" for release in learned] or [
        "learned from it: nothing"
    ]
    lines += [line.format(state=settings.state) for line in REMAINING]
    for line in lines:
        console.print(line, highlight=False, markup=False)


def _releases_trained_with(store: ObjectStore, feedback_ids: set[str]) -> Iterator[str]:
    """Yield the releases whose snapshot has one of these corrections."""
    if not feedback_ids:
        return
    for key in store.list("models/"):
        if key.count("/") == 2 and key.endswith(MANIFEST):
            try:
                snapshot = json.loads(store.get(key)).get("corrections")
                items = read_items(store, snapshot) if snapshot else iter(())
                if any(item.feedback_id in feedback_ids for item in items):
                    yield key.split("/")[1]
            except (ObjectNotFound, InvalidInput, ValueError):
                continue
