"""Erases what is stored of one user or one product, and what has reached its age.

Every record is in the prediction log first (`Compactor`), whose columns are searched; then the small objects of the
records that were found are rewritten, and last the part that has them. An erasure that was interrupted is repeated:
what it has not reached is still found in the log.

Of a user, the name becomes a pseudonym, chosen at random, and comments are emptied. All records of the user have
the same pseudonym, so a vote stays one vote, and the trust in a correction does not change. Of a product, predictions
and photo are deleted; its corrections stay without the product and with their category, so that they are counted.
"""

import secrets
from collections import Counter
from collections.abc import Callable, Iterator
from contextlib import suppress
from dataclasses import dataclass, field
from datetime import date
from typing import Any, Final

from product_classifier.errors import InvalidInput, ObjectNotFound, StoreUnavailable
from product_classifier.feedback.prediction_log.compaction import Compactor
from product_classifier.feedback.prediction_log.log_parts import list_days, list_parts
from product_classifier.feedback.prediction_log.log_schema import (
    LoggedRecord,
    from_row,
    read_table,
    to_parquet,
    to_row,
)
from product_classifier.feedback.queue_records import LEASES_PREFIX, QueueLease, skip_key
from product_classifier.feedback.records import (
    Correction,
    PredictionRecord,
    ProductContent,
    image_key,
    new_id,
)
from product_classifier.feedback.trust import product_key
from product_classifier.store import ObjectStore

PSEUDONYM: Final = "erased-"
"""Start of the names that stand for erased users."""

Change = Callable[[LoggedRecord], LoggedRecord | None]
"""Returns a record as it is to be stored; itself if it stays, None if it is deleted."""


@dataclass(slots=True)
class Erasure:
    """What was, or would be, erased."""

    records: Counter[str] = field(default_factory=Counter)
    """Rewritten or deleted records by kind."""
    parts: list[str] = field(default_factory=list)
    """Parts of the log that were rewritten."""
    objects: list[str] = field(default_factory=list)
    """Small objects that were rewritten or deleted."""
    photos: list[str] = field(default_factory=list)
    """Photos that were deleted."""
    feedback_ids: set[str] = field(default_factory=set)
    """Corrections that were changed: runs may have learned from them."""
    prediction_ids: set[str] = field(default_factory=set)
    """Predictions that were changed or deleted: reports may show them."""


def erase_user(store: ObjectStore, user: str, *, dry_run: bool) -> Erasure:
    """Replace the name of a user by a pseudonym in every record, and empty the comments.

    Raises:
        InvalidInput: If the name is empty or a pseudonym, or a part of the log cannot be read.
        StoreUnavailable: If the store cannot be reached; repeat the erasure then.
    """
    if not user or user.startswith(PSEUDONYM):
        raise InvalidInput(f"--user: {user!r:.80} is no name of a user; give the name that records have")
    pseudonym = f"{PSEUDONYM}{secrets.token_hex(8)}"

    def change(record: LoggedRecord) -> LoggedRecord | None:
        name = "reviewer" if hasattr(record, "reviewer") else "user"
        if getattr(record, name) != user:
            return record
        comment = {"comment": ""} if hasattr(record, "comment") else {}
        return record.model_copy(update={name: pseudonym, **comment})

    found = _erase(store, change, lambda row: row["user"] == user, dry_run=dry_run)
    found.objects += _erase_from_queue(store, user, pseudonym, dry_run=dry_run)
    return found


def erase_product(store: ObjectStore, sha256: str, *, dry_run: bool) -> Erasure:
    """Delete the predictions and the photo of a product, and the product from its corrections.

    Args:
        store: The object store.
        sha256: Hash of the photo, or the key of the product that snapshots have (`product_key`).
        dry_run: Only return what would be erased.

    Raises:
        InvalidInput: If a part of the log cannot be read.
        StoreUnavailable: If the store cannot be reached; repeat the erasure then.
    """

    def matches(row: dict[str, Any]) -> bool:
        return row["image_sha256"] == sha256 or (row["designation"] is not None and _key_of(row) == sha256)

    def change(record: LoggedRecord) -> LoggedRecord | None:
        if isinstance(record, PredictionRecord):
            return None
        if isinstance(record, Correction):
            subject = record.prediction_id or new_id(record.created)  # a correction names a product or a prediction
            return record.model_copy(update={"product": None, "prediction_id": subject, "comment": ""})
        return record

    found = _erase(store, change, matches, dry_run=dry_run)
    if store.exists(image_key(sha256)):
        found.photos.append(image_key(sha256))
        if not dry_run:
            store.delete(image_key(sha256))
    return found


def expire_predictions(store: ObjectStore, before: date, *, dry_run: bool = False) -> Erasure:
    """Delete predictions of days (UTC) before one, and photos that no remaining record has.

    Corrections stay: runs are trained with them.
    """
    Compactor(store).run()
    photos = [image_key(sha256) for sha256 in _photos_before(store, before)]
    if not dry_run:
        for key in photos:  # before the rows that name them, so that an interrupted call is repeated
            store.delete(key)
    found = _erase(
        store,
        lambda record: None if isinstance(record, PredictionRecord) else record,
        lambda row: row["kind"] == "prediction",
        until=before,
        dry_run=dry_run,
    )
    found.photos += photos
    return found


def _erase_from_queue(store: ObjectStore, user: str, pseudonym: str, *, dry_run: bool) -> list[str]:
    """Delete what a user skipped, and replace the name in leases; return the keys."""
    skips = list(store.list(skip_key(user, "")[: -len(".json")]))
    leases = []
    for key in store.list(LEASES_PREFIX):
        with suppress(ObjectNotFound, StoreUnavailable):
            lease = QueueLease.from_json(store.get(key), key)
            if lease.user == user:
                leases.append(lease)
    if not dry_run:
        for key in skips:
            store.delete(key)
        for lease in leases:
            store.put(lease.key, lease.model_copy(update={"user": pseudonym}).to_json())
    return [*skips, *(lease.key for lease in leases)]


def _photos_before(store: ObjectStore, before: date) -> list[str]:
    """Return the photos that only predictions of days before one have, by SHA-256."""
    kept: set[str] = set()
    expired: set[str] = set()
    for day, key in _parts(store):
        table = read_table(store.get(key), ["kind", "image_sha256"])
        for kind, photo in zip(table["kind"].to_pylist(), table["image_sha256"].to_pylist(), strict=True):
            if photo:
                (expired if kind == "prediction" and day < before.isoformat() else kept).add(photo)
    return sorted(expired - kept)


def _erase(
    store: ObjectStore,
    change: Change,
    matches: Callable[[dict[str, Any]], bool],
    *,
    dry_run: bool,
    until: date | None = None,
) -> Erasure:
    """Change the records that match; with `until` only those of days before."""
    found = Erasure()
    Compactor(store).run()
    for day, key in _parts(store):
        if until is not None and day >= until.isoformat():
            break
        rows = read_table(store.get(key)).to_pylist()
        changed = [_change_row(store, row, change, found, dry_run=dry_run) if matches(row) else row for row in rows]
        if any(new is not old for new, old in zip(changed, rows, strict=True)):
            found.parts.append(key)
            if not dry_run:
                store.put(key, to_parquet([row for row in changed if row is not None]))
    return found


def _change_row(
    store: ObjectStore, row: dict[str, Any], change: Change, found: Erasure, *, dry_run: bool
) -> dict[str, Any] | None:
    """Rewrite or delete the small object of a row; return the row of what remains."""
    record = from_row(row)
    changed = change(record)
    if changed is record:
        return row
    found.records[row["kind"]] += 1
    if isinstance(record, PredictionRecord):
        found.prediction_ids.add(row["id"])
    elif isinstance(record, Correction):
        found.feedback_ids.add(row["id"])
    if store.exists(record.key):
        found.objects.append(record.key)
        if not dry_run and changed is None:
            store.delete(record.key)
        elif not dry_run and changed is not None:
            store.put(record.key, changed.to_json())
    return None if changed is None else to_row(changed)


def _parts(store: ObjectStore) -> Iterator[tuple[str, str]]:
    for day in list_days(store):
        for key in list_parts(store, day):
            yield day, key


def _key_of(row: dict[str, Any]) -> str:
    try:
        content = ProductContent(
            designation=row["designation"], description=row["description"], image_sha256=row["image_sha256"]
        )
    except ValueError:
        return ""
    return product_key(content)
