"""Storage of journaled corrections, reviews, revisions and photos, with conflicts resolved."""

from collections.abc import Callable
from contextlib import suppress
from datetime import datetime

from inference.feedback_service.identity import bits_of, feedback_id, identity, identity_bytes, request_of
from product_classifier.errors import ObjectExists, StoreUnavailable
from product_classifier.feedback.index import FeedbackIndex
from product_classifier.feedback.records import (
    PHOTO_PREFIX,
    REVIEW_SUFFIX,
    REVISION_SUFFIX,
    Correction,
    Review,
    correction_key,
    created_at,
)
from product_classifier.observability import get_logger
from product_classifier.store import ObjectStore
from product_classifier.store.journal import Entry

log = get_logger()


class CorrectionReplay:
    """Stores one journaled entry and reads it back; safe to repeat, safe for any number of threads.

    The journal is written without reading the store, so an entry may collide with an object that was stored before or
    meanwhile. The same photo, review or correction is stored once. A different correction under the same id is stored
    under another id, because both were acknowledged. Of two reviews the first stands.
    """

    def __init__(self, store: ObjectStore, index: FeedbackIndex, now: Callable[[], datetime]) -> None:
        self._store = store
        self._index = index
        self._now = now

    def __call__(self, entry: Entry) -> None:
        """Store the entry; raise `StoreUnavailable` unless it was read back or superseded."""
        if entry.key.startswith(PHOTO_PREFIX):
            self._store_photo(entry)
        elif entry.key.endswith(REVIEW_SUFFIX):
            self._store_review(entry)
        elif entry.key.endswith(REVISION_SUFFIX):
            self._store_revision(entry)
        else:
            self._store_correction(Correction.from_json(entry.data, entry.key))

    def _store_photo(self, entry: Entry) -> None:
        try:
            self._store.put(entry.key, entry.data, only_if_absent=True)
        except ObjectExists:
            if self._store.get(entry.key) != entry.data:  # the key is a hash of the content, so the object is damaged
                self._store.put(entry.key, entry.data)
        self._read_back(entry.key, entry.data)

    def _store_review(self, entry: Entry) -> None:
        try:
            self._store.put(entry.key, entry.data, only_if_absent=True)
        except ObjectExists:
            stored = self._store.get(entry.key)
            if stored != entry.data:
                log.warning("review_superseded", key=entry.key)
                self._index.add(Review.from_json(stored, entry.key), replace=True)
            return
        self._read_back(entry.key, entry.data)

    def _store_revision(self, entry: Entry) -> None:
        with suppress(ObjectExists):  # its id is random, so the object is the same
            self._store.put(entry.key, entry.data, only_if_absent=True)
        self._read_back(entry.key, entry.data)

    def _store_correction(self, correction: Correction) -> None:
        self._index.ensure_listed(self._now())
        known = self._index.find_id(identity_bytes(bits_of(correction.feedback_id)))
        key = correction_key(known or correction.feedback_id)
        data = correction.to_json()
        if known is None or known == correction.feedback_id:
            try:
                self._store.put(key, data, only_if_absent=True)
            except ObjectExists:
                pass
            else:
                self._index.add(correction)
                self._read_back(key, data)
                return
        try:
            stored = Correction.from_json(self._store.get(key), key)
        except StoreUnavailable:
            if known not in {None, correction.feedback_id}:
                raise
            self._store.put(key, data)  # the object is damaged, and these are the bytes of its key
            self._read_back(key, data)
            return
        self._index.add(stored, replace=True)
        if request_of(stored) != request_of(correction):
            self._store_under_another_id(correction)

    def _store_under_another_id(self, correction: Correction) -> None:
        bits = identity(correction.user, f"{correction.feedback_id}:{request_of(correction)!r}")
        other = feedback_id(bits, created_at(correction.feedback_id))
        log.warning("idempotency_key_reused", feedback_id=correction.feedback_id, stored_as=other)
        self._store_correction(correction.model_copy(update={"feedback_id": other}))

    def _read_back(self, key: str, data: bytes) -> None:
        if self._store.get(key) != data:
            raise StoreUnavailable(f"object {key!r}: its content differs from what was written")
