"""The id of a correction follows from who gave it and under which key, so that a repetition finds the first.

An id is a UUID of version 7 (see `records`): its time is midnight of the day the correction was
first taken, its other 74 bits are a hash. On one day the same key is therefore the same object, which the store
creates once however many servers try; `IdIndex` finds those of other days.
"""

import hashlib
import json
import threading
import uuid
from datetime import UTC, datetime, timedelta

from product_classifier.errors import InvalidInput
from product_classifier.feedback.records import Correction, correction_key, created_at
from product_classifier.store import ObjectStore

PREFIX = "feedback/"
UNSURE_AFTER_MIDNIGHT = timedelta(minutes=10)
"""How far the clocks of two servers may be apart for both to agree on the day of a correction."""


def identity(user: str, key: str) -> int:
    """Return the 74 bits that stand for a user's key."""
    digest = hashlib.sha256(json.dumps([user, key]).encode()).digest()
    return int.from_bytes(digest[:10]) >> 6


def derived_key(draft: Correction) -> str:
    """Return the key of a request that brought none: the same request again is a repetition."""
    return "derived:" + hashlib.sha256(json.dumps(request_of(draft)).encode()).hexdigest()


def request_of(correction: Correction) -> list[object]:
    """Return what the person said, without when and how it was kept."""
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
    """All ids in the store, by identity; a key of the listing is enough, nothing is read."""

    def __init__(self, store: ObjectStore) -> None:
        self._store = store
        self._lock = threading.Lock()
        self._ids: dict[int, str] = {}
        self._listed_on: str | None = None

    def add(self, identifier: str) -> None:
        """Remember an id; the oldest of an identity stays."""
        bits = bits_of(identifier)
        if self._ids.setdefault(bits, identifier) > identifier:
            self._ids[bits] = identifier

    def find(self, bits: int) -> str | None:
        """Return the id that was given to this identity, on whatever day."""
        return self._ids.get(bits)

    def ensure(self, now: datetime) -> None:
        """List the store at the start and when a day begins; raises `StoreUnavailable`."""
        day = now.astimezone(UTC).date().isoformat()
        if self._listed_on == day:
            return
        with self._lock:
            if self._listed_on == day:
                return
            for key in self._store.list(PREFIX):
                self._add_key(key)
            self._listed_on = day

    def yesterdays(self, bits: int, now: datetime) -> str | None:
        """Return the id another server, whose clock is behind, may just have given to this identity."""
        midnight = now.astimezone(UTC).replace(hour=0, minute=0, second=0, microsecond=0)
        if now - midnight > UNSURE_AFTER_MIDNIGHT:
            return None
        earlier = feedback_id(bits, midnight - timedelta(days=1))
        return earlier if self._store.exists(correction_key(earlier)) else None

    def _add_key(self, key: str) -> None:
        name = key.rpartition("/")[2].removesuffix(".json")
        try:
            created_at(name)
        except InvalidInput:
            return  # a review, or something that is not ours
        self.add(name)
