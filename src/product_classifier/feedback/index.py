"""Every correction and review in the store, read once: they never change.

    book = FeedbackIndex(store)
    book.refresh()
    labels = book.labels()

An object that is damaged is reported in `damaged` with its reason and skipped; it never stops the others.
"""

import threading
from collections.abc import Mapping
from concurrent.futures import ThreadPoolExecutor

from product_classifier.errors import InvalidInput, ObjectNotFound, StoreUnavailable
from product_classifier.feedback.records import (
    Correction,
    PredictionRecord,
    Review,
    correction_key,
    prediction_key,
    review_key,
)
from product_classifier.feedback.trust import Label, State, states, trusted_labels
from product_classifier.store import ObjectStore

PREFIX = "feedback/"
REVIEW_SUFFIX = ".review.json"
FEW = 32
AT_ONCE = 8
"""Objects read at the same time, when many are new: each costs a round trip."""


class FeedbackIndex:
    """What the store holds under `feedback/`, kept in memory; safe for any number of threads."""

    def __init__(self, store: ObjectStore) -> None:
        self._store = store
        self._lock = threading.Lock()
        self._corrections: dict[str, Correction] = {}
        self._reviews: dict[str, Review] = {}
        self._unresolved: set[str] = set()
        self._read: set[str] = set()
        self.damaged: dict[str, str] = {}

    def refresh(self) -> None:
        """Read what is new; raises `StoreUnavailable` when the store is away."""
        new = [key for key in self._store.list(PREFIX) if key not in self._read]
        if len(new) < FEW:
            for key in new:
                self._take(key)
        else:
            with ThreadPoolExecutor(AT_ONCE, "read") as pool:
                list(pool.map(self._take, new))
        for feedback_id in tuple(self._unresolved):
            self._resolve(feedback_id)

    def add(self, record: Correction | Review) -> None:
        """Take a record that was just made durable, without waiting for the next refresh."""
        with self._lock:
            if isinstance(record, Review):
                self._reviews.setdefault(record.feedback_id, record)
                return
            self._corrections.setdefault(record.feedback_id, record)
            if record.product is None:
                self._unresolved.add(record.feedback_id)

    def get(self, feedback_id: str) -> Correction | None:
        """Return a correction."""
        return self._corrections.get(feedback_id)

    def review(self, feedback_id: str) -> Review | None:
        """Return the review of a correction."""
        return self._reviews.get(feedback_id)

    def corrections(self) -> list[Correction]:
        """Return all corrections, in no particular order."""
        with self._lock:
            return list(self._corrections.values())

    def labels(self) -> tuple[Label, ...]:
        """Return what the corrections that count say, one label per product."""
        return trusted_labels(self.corrections(), self._reviews_now())

    def states(self) -> Mapping[str, State]:
        """Return the state of every correction."""
        return states(self.corrections(), self._reviews_now())

    def _reviews_now(self) -> dict[str, Review]:
        with self._lock:
            return dict(self._reviews)

    def _take(self, key: str) -> None:
        try:
            data = self._store.get(key)
        except ObjectNotFound:
            return
        try:
            self.add(_parse(key, data))
        except (InvalidInput, StoreUnavailable) as error:
            self.damaged[key] = str(error)
        self._read.add(key)

    def _resolve(self, feedback_id: str) -> None:
        """Look up the product of a correction that was taken while the store was away."""
        correction = self._corrections[feedback_id]
        try:
            product = read_prediction(self._store, str(correction.prediction_id)).product
        except (ObjectNotFound, InvalidInput):
            return
        with self._lock:
            self._corrections[feedback_id] = correction.model_copy(update={"product": product})
            self._unresolved.discard(feedback_id)


def read_prediction(store: ObjectStore, prediction_id: str) -> PredictionRecord:
    """Read what was answered; `ObjectNotFound` when nothing was, `InvalidInput` when the object is damaged."""
    key = prediction_key(prediction_id)
    data = store.get(key)
    try:
        return PredictionRecord.from_json(data, key)
    except StoreUnavailable as error:
        raise InvalidInput(str(error)) from error


def _parse(key: str, data: bytes) -> Correction | Review:
    record: Correction | Review
    if key.endswith(REVIEW_SUFFIX):
        record = Review.from_json(data, key)
        expected = review_key(record.feedback_id)
    else:
        record = Correction.from_json(data, key)
        expected = correction_key(record.feedback_id)
    if key != expected:
        msg = f"object {key!r} says it is {expected!r}"
        raise InvalidInput(msg)
    return record
