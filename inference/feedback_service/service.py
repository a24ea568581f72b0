"""Where corrections and reviews are handed in, without HTTP.

A correction is acknowledged when `DurableWriter` has returned. Its id follows from the user and the key of the request,
so handing it in again finds the first; the same key for something else is a conflict.
"""

import threading
from collections.abc import Callable
from contextlib import suppress
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import Literal, TypeVar

from inference.durability.writer import Destination, DurableWriter
from inference.feedback_service.identity import (
    IdIndex,
    bits_of,
    derived_key,
    feedback_id,
    identity,
    request_of,
)
from product_classifier.errors import (
    FeedbackConflict,
    InvalidInput,
    NotDurable,
    ObjectExists,
    ObjectNotFound,
    StoreUnavailable,
    UnknownFeedback,
    UnknownPrediction,
)
from product_classifier.feedback.index import FeedbackIndex, read_prediction
from product_classifier.feedback.records import (
    Correction,
    PredictionRecord,
    ProductContent,
    Record,
    Review,
    Role,
    correction_key,
    image_key,
    review_key,
)
from product_classifier.store import ObjectStore
from product_classifier.store.journal import Entry

LOCKS = 256
R = TypeVar("R", bound=Record)


@dataclass(frozen=True, slots=True)
class Person:
    """Who the gateway says is asking."""

    name: str
    role: Role


@dataclass(frozen=True, slots=True)
class Handed:
    """What became of a correction; `where` is None when it had been given before."""

    correction: Correction
    where: Destination | None


class Desk:
    """Takes corrections and reviews; safe for any number of threads."""

    def __init__(
        self, store: ObjectStore, writer: DurableWriter, ids: IdIndex, book: FeedbackIndex, now: Callable[[], datetime]
    ) -> None:
        self._store = store
        self._writer = writer
        self._ids = ids
        self._book = book
        self._now = now
        self._locks = [threading.Lock() for _ in range(LOCKS)]
        for key in writer.pending_keys():
            self._remember(key)

    def correct_prediction(
        self, person: Person, key: str | None, prediction_id: str, code: int, comment: str
    ) -> Handed:
        """Take a correction of an answer; `UnknownPrediction` when nothing was answered under this id."""
        draft = self._draft(person, code, comment, prediction_id=prediction_id)
        return self._hand_in(draft, key, ())

    def correct_product(
        self, person: Person, key: str | None, product: ProductContent, code: int, comment: str, *, photo: bytes = b""
    ) -> Handed:
        """Take a correction of a product; `photo` holds the bytes whose hash is in the product."""
        photos = (Entry(image_key(product.image_sha256), photo),) if product.image_sha256 else ()
        return self._hand_in(self._draft(person, code, comment, product=product), key, photos)

    def review(
        self, person: Person, identifier: str, decision: Literal["approved", "rejected"], comment: str
    ) -> tuple[Correction, Review]:
        """Take a decision; the first stands, the same again is fine, another is a `FeedbackConflict`."""
        correction = self._find(identifier)
        review = Review(
            feedback_id=identifier, created=self._now(), reviewer=person.name, decision=decision, comment=comment
        )
        with self._lock_of(bits_of(identifier)):
            try:
                self._writer.create(Entry(review.key, review.to_json()))
            except ObjectExists:
                review = self._read(review_key(identifier), Review)
        self._book.add(correction)
        self._book.add(review)
        if review.decision != decision:
            raise FeedbackConflict(f"correction {identifier!r} was {review.decision} by {review.reviewer!r}")
        return correction, review

    def _draft(
        self,
        person: Person,
        code: int,
        comment: str,
        *,
        prediction_id: str | None = None,
        product: ProductContent | None = None,
    ) -> Correction:
        """Return the correction with an id that is not yet its own."""
        now = self._now()
        return Correction(
            feedback_id=feedback_id(0, now),
            created=now,
            user=person.name,
            role=person.role,
            prediction_id=prediction_id,
            product=product,
            code=code,
            comment=comment,
        )

    def _hand_in(self, draft: Correction, key: str | None, photos: tuple[Entry, ...]) -> Handed:
        bits = identity(draft.user, f"given:{key}" if key is not None else derived_key(draft))
        with self._lock_of(bits):
            known = self._known(bits)
            if known is not None:
                return self._again(draft, known)
            correction = self._complete(draft, bits)
            try:
                where = self._writer.create(Entry(correction.key, correction.to_json()), photos)
            except ObjectExists:
                return self._again(draft, correction.feedback_id)
            self._ids.add(correction.feedback_id)
        self._book.add(correction)
        return Handed(correction, where)

    def _known(self, bits: int) -> str | None:
        """Return the id of this identity if it was handed in before, as far as can be known now."""
        if not self._writer.store_unavailable:
            try:
                self._ids.ensure(self._now())
                return self._ids.find(bits) or self._ids.yesterdays(bits, self._now())
            except StoreUnavailable as error:
                self._writer.report_unavailable(error)
        return self._ids.find(bits)

    def _again(self, draft: Correction, identifier: str) -> Handed:
        first = self._read(correction_key(identifier), Correction)
        if request_of(first) != request_of(draft):
            raise FeedbackConflict("this Idempotency-Key was used before for another request")
        self._book.add(first)
        return Handed(first, None)

    def _complete(self, draft: Correction, bits: int) -> Correction:
        """Give the correction its id and, unless the store is away, what was answered."""
        found: dict[str, object] = {"feedback_id": feedback_id(bits, draft.created)}
        prediction = self._prediction(draft.prediction_id) if draft.prediction_id else None
        if prediction is not None:
            found |= {"product": prediction.product, "predicted": prediction.code, "release": prediction.release}
        return draft.model_copy(update=found)

    def _prediction(self, prediction_id: str) -> PredictionRecord | None:
        if self._writer.store_unavailable:
            return None
        try:
            return read_prediction(self._store, prediction_id)
        except ObjectNotFound as error:
            raise UnknownPrediction(f"no prediction has the id {prediction_id[:60]!r}") from error
        except StoreUnavailable as error:
            self._writer.report_unavailable(error)
            return None

    def _find(self, identifier: str) -> Correction:
        known = self._book.get(identifier)
        if known is not None:
            return known
        try:
            return self._read(correction_key(identifier), Correction)
        except (ObjectNotFound, InvalidInput) as error:
            raise UnknownFeedback(f"no correction has the id {identifier[:60]!r}") from error

    def _read(self, key: str, kind: type[R]) -> R:
        """Read what was kept, wherever it is; a record on its way from the journal to the store is found too."""
        data = self._writer.pending(key)
        if data is not None:
            return kind.from_json(data, key)
        try:
            return kind.from_json(self._store.get(key), key)
        except StoreUnavailable as error:
            raise NotDurable(f"what was given before cannot be read: {error}") from error

    def _lock_of(self, bits: int) -> threading.Lock:
        return self._locks[bits % LOCKS]

    def _remember(self, key: str) -> None:
        """Know what an earlier process left in the journal."""
        data = self._writer.pending(key)
        if key.startswith("feedback/") and data is not None:
            with suppress(StoreUnavailable):
                record = Review if key.endswith(".review.json") else Correction
                found = record.from_json(data, key)
                self._book.add(found)
                if isinstance(found, Correction):
                    self._ids.add(found.feedback_id)


def utc_now() -> datetime:
    """Return the wall time."""
    return datetime.now(UTC)
