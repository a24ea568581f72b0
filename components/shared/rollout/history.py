"""What became of each release: `reports/promotions/<release>.json`, written once by its promotion."""

from contextlib import suppress
from datetime import datetime
from typing import Any

from product_classifier.errors import ObjectExists, ObjectNotFound
from product_classifier.feedback.records import Record
from product_classifier.store import ObjectStore

PREFIX = "reports/promotions/"


class Promotion(Record):
    """The end of a release's promotion."""

    release: str
    champion: str | None
    """The release it was compared with, and which it took the place of if it was promoted."""
    promoted: bool
    reasons: tuple[str, ...]
    metrics: dict[str, Any]
    decided: datetime


def record(store: ObjectStore, promotion: Promotion, report: bytes) -> Promotion:
    """Keep how a promotion ended, and its page for people; the first end of a release stands and is returned."""
    with suppress(ObjectExists):  # of an attempt that was cut short
        store.put(f"{PREFIX}{promotion.release}.html", report, only_if_absent=True)
    try:
        store.put(_key(promotion.release), promotion.to_json(), only_if_absent=True)
    except ObjectExists:
        return find(store, promotion.release) or promotion
    return promotion


def find(store: ObjectStore, release: str) -> Promotion | None:
    """Return how the promotion of a release ended; None when it has not."""
    try:
        return Promotion.from_json(store.get(_key(release)), _key(release))
    except ObjectNotFound:
        return None


def has_ended(store: ObjectStore, release: str) -> bool:
    """Tell whether the promotion of a release has ended, one way or the other."""
    return store.exists(_key(release))


def _key(release: str) -> str:
    return f"{PREFIX}{release}.json"
