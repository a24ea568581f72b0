"""Compact predictions, corrections and reviews into the prediction log."""

from datetime import UTC, date, datetime, timedelta

from product_classifier.errors import ObjectNotFound
from product_classifier.feedback.erasure import expire_predictions
from product_classifier.feedback.prediction_log.compaction import CompactionResult, Compactor
from product_classifier.feedback.prediction_log.log_parts import INDEX
from product_classifier.store import ObjectStore, open_store

LATE_DAYS = 3
"""Days that every run lists; older ones, to which journals and reviews may add late, are listed once a day."""
SWEPT = f"{INDEX}swept"
"""Object with the day on which all days were last listed."""


def run(
    store: str, delete_after_days: int = -1, today: date | None = None, *, retention_days: int = -1
) -> CompactionResult:
    """Compact what is new.

    Args:
        store: URL of the object store: file:///folder or s3://bucket.
        delete_after_days: Age in days at which small objects of logged predictions are deleted; negative for never.
        retention_days: Age in days at which predictions are deleted everywhere; negative for never.
        today: The current day (UTC); None for that of the clock.

    Raises:
        StoreUnavailable: If the store cannot be reached; the next run continues.
    """
    opened = open_store(store)
    today = today or datetime.now(UTC).date()
    limit = None if delete_after_days < 0 else today - timedelta(days=delete_after_days)
    swept = _swept_on(opened) == today.isoformat()
    result = Compactor(opened, delete_before=limit).run(today - timedelta(days=LATE_DAYS) if swept else None)
    if not swept:
        opened.put(SWEPT, today.isoformat().encode())
    if retention_days >= 0:
        expire_predictions(opened, today - timedelta(days=retention_days))
    return result


def _swept_on(store: ObjectStore) -> str:
    try:
        return store.get(SWEPT).decode(errors="replace")
    except ObjectNotFound:
        return ""
