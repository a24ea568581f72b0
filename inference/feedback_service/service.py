"""Submission of corrections, without HTTP; `correction_decisions` has reviews of them.

A correction is acknowledged once `DurableWriter` has returned. Its id is derived from the user and the idempotency key,
so submitting it again finds the first; the same key with different content is a conflict.
"""

import threading
from collections.abc import Callable
from contextlib import nullcontext, suppress
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import TypeVar

from inference.durability.writer import Destination, DurableWriter
from inference.feedback_service.identity import (
    derived_key,
    feedback_id,
    identity,
    identity_bytes,
    request_of,
    yesterdays_id,
)
from inference.feedback_service.quota import DailyQuota
from inference.http.problems import public_message
from product_classifier.errors import (
    FeedbackConflict,
    IndexUnavailable,
    InvalidInput,
    NotDurable,
    ObjectExists,
    ObjectNotFound,
    StoreUnavailable,
    UnknownFeedback,
    UnknownPrediction,
)
from product_classifier.feedback.index import FeedbackIndex
from product_classifier.feedback.index_rows import UNREAD_CONFIDENCE, IndexedCorrection
from product_classifier.feedback.records import (
    Correction,
    PredictionRecord,
    ProductContent,
    Record,
    Role,
    correction_key,
    image_key,
    record_kind,
)
from product_classifier.feedback.stored_products import read_prediction
from product_classifier.store import ObjectStore
from product_classifier.store.journal import Entry
from product_classifier.store.object_keys import FEEDBACK_PREFIX

LOCKS = 256
R = TypeVar("R", bound=Record)


@dataclass(frozen=True, slots=True)
class Caller:
    """The authenticated user of a request."""

    name: str
    role: Role


@dataclass(frozen=True, slots=True)
class VersionedCode:
    """A code as it is given, and the version of the taxonomy it is of; None is the first."""

    code: str
    version: int | None = None


@dataclass(frozen=True, slots=True)
class SubmitResult:
    """A correction and where it was written; `destination` is None if it had been submitted before.

    `replaced` is an earlier correction of the user that no longer counts, as this one names another category.
    """

    correction: Correction
    destination: Destination | None
    replaced: IndexedCorrection | None = None


class FeedbackService:
    """Writes corrections; safe for any number of threads and of servers on one store."""

    def __init__(
        self,
        store: ObjectStore,
        writer: DurableWriter,
        index: FeedbackIndex,
        now: Callable[[], datetime],
        daily_corrections: int = 0,
    ) -> None:
        """Index what an earlier process left in the journal of `writer`.

        Args:
            store: Where corrections and predictions are.
            writer: Makes records durable.
            index: The corrections of the store.
            now: Returns the current time.
            daily_corrections: Corrections that one user may submit on a day; 0 for any number.
        """
        self.store = store
        self.writer = writer
        self.index = index
        self._quota = DailyQuota(index, daily_corrections)
        self.now = now
        self._locks = [threading.Lock() for _ in range(LOCKS)]
        index.is_pending = lambda key: writer.pending(key) is not None
        for key in writer.pending_keys():
            self._index_pending(key)

    def correct_prediction(
        self,
        caller: Caller,
        key: str | None,
        prediction_id: str,
        code: VersionedCode,
        comment: str,
        *,
        is_import: bool = False,
    ) -> SubmitResult:
        """Submit a correction of a prediction; one of an import does not count as one of the day.

        Raises:
            UnknownPrediction: If the store has no prediction of this id.
            FeedbackConflict: If the idempotency key was used for another request.
            QuotaExceeded: If the user has submitted too many corrections today.
            NotDurable: If neither the store nor the journal accepts the correction.
        """
        draft = self._draft(caller, code, comment, prediction_id=prediction_id)
        return self._submit(draft, key, (), is_import=is_import)

    def correct_product(
        self,
        caller: Caller,
        key: str | None,
        product: ProductContent,
        code: VersionedCode,
        comment: str,
        *,
        photo: bytes = b"",
        is_import: bool = False,
    ) -> SubmitResult:
        """Submit a correction of a product with the photo it names, empty if that is stored.

        Raises:
            FeedbackConflict: If the idempotency key was used for another request.
            QuotaExceeded: If the user has submitted too many corrections today.
            NotDurable: If neither the store nor the journal accepts the correction.
        """
        photos = (Entry(image_key(product.image_sha256), photo),) if product.image_sha256 and photo else ()
        return self._submit(self._draft(caller, code, comment, product=product), key, photos, is_import=is_import)

    def _draft(
        self,
        caller: Caller,
        code: VersionedCode,
        comment: str,
        *,
        prediction_id: str | None = None,
        product: ProductContent | None = None,
    ) -> Correction:
        """Return the correction with a placeholder for its id."""
        now = self.now()
        return Correction(
            feedback_id=feedback_id(0, now),
            created=now,
            user=caller.name,
            role=caller.role,
            prediction_id=prediction_id,
            product=product,
            code=code.code,
            taxonomy_version=code.version,
            comment=comment,
        )

    def _submit(
        self, draft: Correction, key: str | None, photos: tuple[Entry, ...], *, is_import: bool
    ) -> SubmitResult:
        name = f"given:{key}" if key is not None else self._unused_key(draft)
        bits = identity(draft.user, name)
        with self.lock_of(bits):
            known = self._known_id(bits)
            if known is not None:
                return self._resubmit(draft, known)
            with nullcontext() if is_import else self._quota.reserved(draft.user, draft.created):
                correction, confidence = self._complete(draft, bits)
                try:
                    destination = self.writer.create(Entry(correction.key, correction.to_json()), photos)
                except ObjectExists:
                    return self._resubmit(draft, correction.feedback_id)
                replaced = self.index.replaced_by(correction)
                self.index.add(correction, confidence=confidence)
        return SubmitResult(correction, destination, replaced)

    def _unused_key(self, draft: Correction) -> str:
        """Return the key of a request that has none: after it was taken back, the same request is a new correction."""
        key = derived_key(draft)
        while (known := self._known_id(identity(draft.user, key))) is not None:
            indexed = self.index.get(known)
            if indexed is None or indexed.state != "withdrawn":
                break
            key = f"{key} after {known}"
        return key

    def _known_id(self, bits: int) -> str | None:
        """Return the id of this identity if it is known; while the store is unavailable only the index is read."""
        if not self.writer.store_unavailable:
            try:
                self.index.ensure_listed(self.now())
                return self.index.find_id(identity_bytes(bits)) or self._stored_yesterday(bits)
            except StoreUnavailable as error:
                self.writer.report_unavailable(error)
        return self.index.find_id(identity_bytes(bits))

    def _stored_yesterday(self, bits: int) -> str | None:
        earlier = yesterdays_id(bits, self.now())
        return earlier if earlier is not None and self.store.exists(correction_key(earlier)) else None

    def _resubmit(self, draft: Correction, identifier: str) -> SubmitResult:
        first = self.read(correction_key(identifier), Correction)
        if request_of(first) != request_of(draft):
            raise FeedbackConflict("Idempotency-Key: it was used for a different request; send a new key")
        self.index.add(first)
        return SubmitResult(first, None)

    def _complete(self, draft: Correction, bits: int) -> tuple[Correction, float]:
        """Return the correction with its id and what is known of its prediction, and its confidence for the index."""
        found: dict[str, object] = {"feedback_id": feedback_id(bits, draft.created)}
        prediction = self._prediction(draft.prediction_id) if draft.prediction_id else None
        if prediction is not None:
            found |= {"product": prediction.product, "predicted": prediction.code, "release": prediction.release}
            found["predicted_version"] = prediction.taxonomy_version
        confidence = UNREAD_CONFIDENCE if prediction is None else prediction.confidence
        return draft.model_copy(update=found), confidence

    def _prediction(self, prediction_id: str) -> PredictionRecord | None:
        if self.writer.store_unavailable:
            return None
        try:
            return read_prediction(self.store, prediction_id)
        except ObjectNotFound as error:
            raise UnknownPrediction(f"prediction_id: no prediction has the id {prediction_id!r}") from error
        except StoreUnavailable as error:
            self.writer.report_unavailable(error)
            return None

    def find(self, identifier: str) -> IndexedCorrection:
        """Return a correction from the index or the store.

        Raises:
            UnknownFeedback: If there is no correction of this id.
        """
        known = self.index.get(identifier)
        if known is not None:
            return known
        try:
            self.index.add(self.read(correction_key(identifier), Correction))
        except (ObjectNotFound, InvalidInput) as error:
            raise UnknownFeedback(f"feedback_id: no correction has the id {public_message(identifier)}") from error
        added = self.index.get(identifier)
        if added is None:
            raise IndexUnavailable("the index of corrections cannot be written; check its disk")
        return added

    def read(self, key: str, kind: type[R]) -> R:
        """Read a record from the journal or the store."""
        data = self.writer.pending(key)
        if data is not None:
            return self._parse(kind, data, key)
        try:
            return self._parse(kind, self.store.get(key), key)
        except StoreUnavailable as error:
            raise NotDurable(f"an earlier record cannot be read, so this one cannot be checked: {error}") from error

    def _parse(self, kind: type[R], data: bytes, key: str) -> R:
        return kind.from_json(data, key)

    def lock_of(self, bits: int) -> threading.Lock:
        """Return the lock of an identity, see `identity.bits_of`."""
        return self._locks[bits % LOCKS]

    def _index_pending(self, key: str) -> None:
        data = self.writer.pending(key)
        if key.startswith(FEEDBACK_PREFIX) and data is not None:
            with suppress(StoreUnavailable):
                self.index.add(self._parse(record_kind(key), data, key))


def utc_now() -> datetime:
    """Return the current time in UTC."""
    return datetime.now(UTC)
