"""Brings a record that waited in the journal to its place in the store, and reads it back."""

from collections.abc import Callable
from datetime import datetime

from inference.feedback_service.identity import IdIndex, bits_of, feedback_id, identity, request_of
from product_classifier.errors import ObjectExists, StoreUnavailable
from product_classifier.feedback.index import REVIEW_SUFFIX
from product_classifier.feedback.records import Correction, correction_key, created_at
from product_classifier.observability import get_logger
from product_classifier.store import ObjectStore
from product_classifier.store.journal import Entry

log = get_logger()


class Placing:
    """What was acknowledged while the store was away may meet what another server stored meanwhile."""

    def __init__(self, store: ObjectStore, ids: IdIndex, now: Callable[[], datetime]) -> None:
        self._store = store
        self._ids = ids
        self._now = now

    def __call__(self, entry: Entry) -> None:
        """Return when the record, or the same one given before, has been read back; else `StoreUnavailable`."""
        if entry.key.startswith("images/"):
            self._place_photo(entry)
        elif entry.key.endswith(REVIEW_SUFFIX):
            self._place_review(entry)
        else:
            self._place_correction(Correction.from_json(entry.data, entry.key))

    def _place_photo(self, entry: Entry) -> None:
        try:
            self._store.put(entry.key, entry.data, only_if_absent=True)
        except ObjectExists:
            if self._store.get(entry.key) != entry.data:  # damaged there: the name says what it must be
                self._store.put(entry.key, entry.data)
        self._read_back(entry.key, entry.data)

    def _place_review(self, entry: Entry) -> None:
        try:
            self._store.put(entry.key, entry.data, only_if_absent=True)
        except ObjectExists:
            if self._store.get(entry.key) != entry.data:
                log.warning("review_came_second", key=entry.key)
            return
        self._read_back(entry.key, entry.data)

    def _place_correction(self, correction: Correction) -> None:
        self._ids.ensure(self._now())
        given = self._ids.find(bits_of(correction.feedback_id))
        key = correction_key(given or correction.feedback_id)
        data = correction.to_json()
        if given is None or given == correction.feedback_id:
            try:
                self._store.put(key, data, only_if_absent=True)
            except ObjectExists:
                pass
            else:
                self._ids.add(correction.feedback_id)
                self._read_back(key, data)
                return
        try:
            first = Correction.from_json(self._store.get(key), key)
        except StoreUnavailable:
            if given not in {None, correction.feedback_id}:
                raise
            self._store.put(key, data)  # what is there is damaged, and these are the bytes that belong there
            self._read_back(key, data)
            return
        if request_of(first) != request_of(correction):
            self._place_beside(correction)

    def _place_beside(self, correction: Correction) -> None:
        """The key was used before for another request, which nobody could know then: keep both."""
        bits = identity(correction.user, f"{correction.feedback_id}:{request_of(correction)!r}")
        other = feedback_id(bits, created_at(correction.feedback_id))
        log.warning("key_used_twice", feedback_id=correction.feedback_id, kept_as=other)
        self._place_correction(correction.model_copy(update={"feedback_id": other}))

    def _read_back(self, key: str, data: bytes) -> None:
        if self._store.get(key) != data:
            raise StoreUnavailable(f"object {key!r} is not what was written")
