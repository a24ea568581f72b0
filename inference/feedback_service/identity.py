"""Deterministic ids of corrections, derived from the user and the idempotency key.

An id is a UUID of version 7 (RFC 9562). Its timestamp is midnight (UTC) of the day of the first submission; its other
74 bits are a hash of user and key. On one day the same key is therefore the same object, which the store creates once
however many servers try. `FeedbackIndex.find_id` finds those of other days.
"""

import hashlib
import json
import uuid
from datetime import UTC, datetime, timedelta

from product_classifier.feedback.records import Correction
from product_classifier.taxonomy.stored_codes import to_stored

EPOCH = datetime(1970, 1, 1, tzinfo=UTC)
TIMESTAMP_BYTES = 6

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
    return [correction.user, correction.prediction_id, product, to_stored(correction.code), correction.comment]


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


def identity_bytes(bits: int) -> bytes:
    """Return the bytes of every id with this identity, see `FeedbackIndex.find_id`."""
    return uuid.UUID(feedback_id(bits, EPOCH)).bytes[TIMESTAMP_BYTES:]


def yesterdays_id(bits: int, now: datetime) -> str | None:
    """Return yesterday's id of an identity while another server may have stored it just now."""
    midnight = now.astimezone(UTC).replace(hour=0, minute=0, second=0, microsecond=0)
    return None if now - midnight > MAX_CLOCK_SKEW else feedback_id(bits, midnight - timedelta(days=1))
