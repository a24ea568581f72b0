"""Deterministic ids of corrections, derived from the user and the idempotency key.

An id is a UUID of version 7 (RFC 9562). Its timestamp is midnight (UTC) of the day of the first submission; its other
74 bits are a hash of user and key. On one day the same key is therefore the same object, which the store creates once
however many servers try. `IdIndex` finds those of other days.
"""

import hashlib
import json
import threading
import uuid
from datetime import UTC, datetime, timedelta

from product_classifier.errors import InvalidInput
from product_classifier.feedback.records import Correction, correction_key, created_at
from product_classifier.store import ObjectStore
from product_classifier.store.object_keys import FEEDBACK_PREFIX

MAX_CLOCK_SKEW = timedelta(minutes=10)
"""Largest difference between the clocks of two servers at which both find the same correction around midnight."""


def identity(user: str, key: str) -> int:
    """Return the 74 bits that identify a user's key."""
    digest = hashlib.sha256(json.dumps([user, key]).encode()).digest()
    return int.from_bytes(digest[:10]) >> 6


def derived_key(draft: Correction) -> str:
    """Return the key of a request without Idempotency-Key: equal requests have equal keys."""
    return "derived:" + hashlib.sha256(json.dumps(request_of(draft)).encode()).hexdigest()


def request_of(correction: Correction) -> list[object]:
    """Return what the request contained, without what the service added."""
    product = None if correction.prediction_id or correction.product is None else correction.product.model_dump()
    return [correction.user, correction.prediction_id, product, correction.code, correction.comment]


def feedback_id(bits: int, day: datetime) -> str:
    """Return the id of an identity on a day."""
    midnight = day.astimezone(UTC).replace(hour=0, minute=0, second=0, microsecond=0)
    high, low = bits >> 62, bits & (1 << 62) - 1
    milliseconds = int(midnight.timestamp() * 1000)
    return str(uuid.UUID(int=milliseconds << 80 | 7 << 76 | high << 64 | 0b10 << 62 | low))


def bits_of(identifier: str) -> int:
    """Return the identity in an id."""
    number = uuid.UUID(identifier).int
    return (number >> 64 & 0xFFF) << 62 | number & (1 << 62) - 1


class IdIndex:
    """Ids of all corrections in the store, by identity; built from a listing of keys."""

    def __init__(self, store: ObjectStore) -> None:
        self._store = store
        self._lock = threading.Lock()
        self._ids: dict[int, str] = {}
        self._listed_on: str | None = None

    def add(self, identifier: str) -> None:
        """Add an id; of several ids of an identity the oldest is kept."""
        bits = bits_of(identifier)
        if self._ids.setdefault(bits, identifier) > identifier:
            self._ids[bits] = identifier

    def find(self, bits: int) -> str | None:
        """Return the id of an identity on whatever day, None if the index has none."""
        return self._ids.get(bits)

    def ensure(self, now: datetime) -> None:
        """List the store once a day; raise `StoreUnavailable` if that fails."""
        day = now.astimezone(UTC).date().isoformat()
        if self._listed_on == day:
            return
        with self._lock:
            if self._listed_on == day:
                return
            for key in self._store.list(FEEDBACK_PREFIX):
                self._add_key(key)
            self._listed_on = day

    def yesterdays(self, bits: int, now: datetime) -> str | None:
        """Return yesterday's id of an identity if another server has just stored it; see `MAX_CLOCK_SKEW`."""
        midnight = now.astimezone(UTC).replace(hour=0, minute=0, second=0, microsecond=0)
        if now - midnight > MAX_CLOCK_SKEW:
            return None
        earlier = feedback_id(bits, midnight - timedelta(days=1))
        return earlier if self._store.exists(correction_key(earlier)) else None

    def _add_key(self, key: str) -> None:
        name = key.rpartition("/")[2].removesuffix(".json")
        try:
            created_at(name)
        except InvalidInput:
            return  # a review, or an object of another producer
        self.add(name)
