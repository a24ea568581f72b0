"""An index of the corrections and reviews in the object store.

    index = FeedbackIndex(store, taxonomy)
    index.refresh()
    labels = index.labels()

The objects are immutable, so each is read once. An object that cannot be parsed or has a category code outside the
taxonomy is recorded in `damaged` with the reason and skipped.
"""

import threading
from collections.abc import Mapping
from concurrent.futures import ThreadPoolExecutor

from product_classifier.errors import InvalidInput, ObjectNotFound, StoreUnavailable, UnknownCategory
from product_classifier.feedback.records import (
    REVIEW_SUFFIX,
    Correction,
    PredictionRecord,
    Record,
    Review,
    correction_key,
    prediction_key,
    review_key,
)
from product_classifier.feedback.trust import Label, State, agreement_key, states, trusted_labels
from product_classifier.store import ObjectStore
from product_classifier.store.object_keys import FEEDBACK_PREFIX
from product_classifier.taxonomy import Taxonomy

_MIN_PARALLEL = 32
_READERS = 8
"""Threads that read objects when at least `_MIN_PARALLEL` are new; each read costs a round trip."""


class FeedbackIndex:
    """The corrections and reviews under `feedback/`, held in memory. Thread-safe."""

    def __init__(self, store: ObjectStore, taxonomy: Taxonomy) -> None:
        self._store = store
        self._taxonomy = taxonomy
        self._lock = threading.Lock()
        self._corrections: dict[str, Correction] = {}
        self._reviews: dict[str, Review] = {}
        self._without_product: set[str] = set()
        self._newest: dict[tuple[str, str], Correction] = {}
        """The newest correction of each user by what it corrects, see `_subjects`."""
        self._read: set[str] = set()
        self.damaged: dict[str, str] = {}
        """Reasons by key of the objects that cannot be used."""

    def refresh(self) -> None:
        """Read the objects added since the last call.

        Raises:
            StoreUnavailable: If the store cannot be reached; what was read before the error stays indexed.
        """
        new = [key for key in self._store.list(FEEDBACK_PREFIX) if key not in self._read]
        if len(new) < _MIN_PARALLEL:
            for key in new:
                self._read_object(key)
        else:
            with ThreadPoolExecutor(_READERS, "read") as pool:
                list(pool.map(self._read_object, new))
        for feedback_id in tuple(self._without_product):
            self._resolve_product(feedback_id)

    def add(self, record: Correction | Review) -> None:
        """Index a record that the caller has just stored, before the next refresh."""
        with self._lock:
            if isinstance(record, Review):
                self._reviews.setdefault(record.feedback_id, record)
                return
            if record.feedback_id not in self._corrections:
                self._corrections[record.feedback_id] = record
                self._note_newest(record)
            if record.product is None:
                self._without_product.add(record.feedback_id)

    def check_codes(self, record: Record) -> None:
        """Raise `StoreUnavailable`, as for a malformed object, if a correction has an unknown code."""
        if not isinstance(record, Correction):
            return
        try:
            for code in {record.code, record.code if record.predicted is None else record.predicted}:
                self._taxonomy.index_of(code)
        except UnknownCategory as error:
            raise StoreUnavailable(f"object {record.key!r} is not a Correction: {error}") from error

    def get(self, feedback_id: str) -> Correction | None:
        """Return a correction, or None if it is not indexed."""
        return self._corrections.get(feedback_id)

    def replaced_by(self, correction: Correction) -> Correction | None:
        """Return the earlier correction of the same user and product with another category; only the newest counts."""
        with self._lock:
            found = [self._newest.get((correction.user, subject)) for subject in _subjects(correction)]
        earlier = [one for one in found if one is not None and one.feedback_id != correction.feedback_id]
        last = max(earlier, key=lambda one: (one.created, one.feedback_id), default=None)
        return last if last is not None and last.code != correction.code else None

    def review(self, feedback_id: str) -> Review | None:
        """Return the review of a correction, or None without one."""
        return self._reviews.get(feedback_id)

    def corrections(self) -> list[Correction]:
        """Return all corrections, in no particular order."""
        with self._lock:
            return list(self._corrections.values())

    def labels(self) -> tuple[Label, ...]:
        """Return the labels of trusted corrections, at most one per product."""
        return trusted_labels(self.corrections(), self._copy_reviews())

    def states(self) -> Mapping[str, State]:
        """Return the state of every correction by feedback id."""
        return states(self.corrections(), self._copy_reviews())

    def _note_newest(self, correction: Correction) -> None:
        for subject in _subjects(correction):
            last = self._newest.setdefault((correction.user, subject), correction)
            if (last.created, last.feedback_id) < (correction.created, correction.feedback_id):
                self._newest[correction.user, subject] = correction

    def _copy_reviews(self) -> dict[str, Review]:
        with self._lock:
            return dict(self._reviews)

    def _read_object(self, key: str) -> None:
        try:
            data = self._store.get(key)
        except ObjectNotFound:
            return
        try:
            record = _parse(key, data)
            self.check_codes(record)
            self.add(record)
        except (InvalidInput, StoreUnavailable) as error:
            self.damaged[key] = str(error)
        self._read.add(key)

    def _resolve_product(self, feedback_id: str) -> None:
        """Read the product of a correction that was accepted while the store was unavailable."""
        correction = self._corrections[feedback_id]
        try:
            product = read_prediction(self._store, str(correction.prediction_id)).product
        except (ObjectNotFound, InvalidInput):
            return
        with self._lock:
            self._corrections[feedback_id] = correction.model_copy(update={"product": product})
            self._without_product.discard(feedback_id)


def _subjects(correction: Correction) -> list[str]:
    """Return what a correction is about: its prediction, its product, or both."""
    found = [correction.prediction_id] if correction.prediction_id else []
    return [*found, agreement_key(correction.product)] if correction.product is not None else found


def read_prediction(store: ObjectStore, prediction_id: str) -> PredictionRecord:
    """Read the record of a prediction.

    Raises:
        ObjectNotFound: If there is no such prediction.
        InvalidInput: If the id is malformed or the object cannot be parsed.
        StoreUnavailable: If the store cannot be reached.
    """
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
        raise InvalidInput(f"object {key!r}: its feedback_id belongs to key {expected!r}")
    return record
