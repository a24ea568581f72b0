"""Decisions about corrections: approve, reject, replace by another category, take back.

The first decision is a review, written once beside its correction. Each later one is a revision, a record of its own,
which supersedes the review and the revisions before it. Nothing that is stored changes.
"""

from collections.abc import Iterator
from contextlib import contextmanager
from datetime import datetime
from typing import Literal, assert_never

from inference.feedback_service.callers import is_reviewer
from inference.feedback_service.identity import bits_of, feedback_id, identity
from inference.feedback_service.service import Caller, FeedbackService, VersionedCode
from product_classifier.errors import FeedbackConflict, InvalidInput, ObjectExists, ObjectNotFound, UnknownFeedback
from product_classifier.feedback.index_rows import MICROSECOND, UNKNOWN_CONFIDENCE, IndexedCorrection
from product_classifier.feedback.records import (
    Correction,
    ProductContent,
    Review,
    Revision,
    RevisionAction,
    correction_key,
    new_id,
    review_key,
)
from product_classifier.feedback.stored_products import read_prediction
from product_classifier.store.journal import Entry


class CorrectionDecisions:
    """Writes reviews and revisions; safe for any number of threads and of servers on one store."""

    def __init__(self, service: FeedbackService) -> None:
        """Take the service whose corrections are decided about."""
        self._service = service
        self._index = service.index
        self.taxonomy = service.index.taxonomy
        self._writer = service.writer

    def review(
        self, caller: Caller, identifier: str, decision: Literal["approved", "rejected"], comment: str = ""
    ) -> IndexedCorrection:
        """Approve or reject a correction; repeating the last decision changes nothing.

        Raises:
            UnknownFeedback: If there is no correction of this id.
            FeedbackConflict: If it has another decision, which is to be undone first, or was taken back.
            NotDurable: If neither the store nor the journal accepts the decision.
        """
        with self._locked(identifier):
            item = self._service.find(identifier)
            if item.decision is None and not self._index.has_review(identifier):
                self._write_review(caller, identifier, decision, comment)
                item = self._service.find(identifier)
            if item.decision is None:
                self._revise(caller, identifier, decision, comment)
            elif item.decision.decision != decision:
                raise _decided(item)
        return self._service.find(identifier)

    def correct(self, caller: Caller, identifier: str, code: VersionedCode, comment: str = "") -> IndexedCorrection:
        """Replace a correction by one of the reviewer with another category; return the replaced one.

        Raises:
            UnknownFeedback: If there is no correction of this id.
            InvalidInput: If the correction has this category.
            FeedbackConflict: If it has another decision, which is to be undone first, was taken back, or its product
                is not known yet.
            NotDurable: If neither the store nor the journal accepts the decision.
        """
        with self._locked(identifier):
            item = self._service.find(identifier)
            if item.decision is not None:
                if self._replaces(item, code.code):
                    return item
                raise _decided(item)
            if item.reading.code == code.code:
                raise InvalidInput(f"code: the correction already has the category {code.code!r}; approve it")
            replacement = self._replacement(caller, identifier, code, comment)
            try:
                self._writer.create(Entry(replacement.key, replacement.to_json()))
            except ObjectExists:  # of an attempt that ended before its revision was written
                replacement = self._service.read(replacement.key, Correction)
            confidence = UNKNOWN_CONFIDENCE if item.confidence is None else item.confidence
            self._index.add(replacement, confidence=confidence)
            self._revise(caller, identifier, "corrected", comment, replacement.feedback_id)
        return self._service.find(identifier)

    def undo(self, caller: Caller, identifier: str) -> IndexedCorrection:
        """Take back the last decision about a correction, or, as its user, the correction.

        Repeating changes nothing.

        Raises:
            UnknownFeedback: If there is no correction of this id that the caller may see.
            FeedbackConflict: If there is nothing that the caller may take back.
            NotDurable: If neither the store nor the journal accepts the record.
        """
        with self._locked(identifier):
            item = self._service.find(identifier)
            if item.user != caller.name and not is_reviewer(caller):
                raise UnknownFeedback(f"feedback_id: no correction has the id {identifier!r}")
            last = item.decision
            if last is None:
                if item.user != caller.name:
                    raise FeedbackConflict(f"correction {identifier!r} has no decision to take back")
                self._revise(caller, identifier, "withdrawn")
            elif last.decision != "withdrawn":
                if not is_reviewer(caller):
                    raise FeedbackConflict(
                        f"correction {identifier!r} was {last.decision} by a reviewer; have a reviewer undo that first"
                    )
                if last.replacement is not None:
                    self._withdraw(caller, last.replacement)
                self._revise(caller, identifier, "reopened")
        return self._service.find(identifier)

    @contextmanager
    def _locked(self, identifier: str) -> Iterator[None]:
        """Hold the lock of a correction; raise `UnknownFeedback` if there is none of this id."""
        self._service.find(identifier)
        with self._service.lock_of(bits_of(identifier)):
            yield

    def _write_review(
        self, caller: Caller, identifier: str, decision: Literal["approved", "rejected"], comment: str
    ) -> None:
        """Write the review of a correction, or index the one that another server wrote."""
        review = Review(
            feedback_id=identifier, created=self._now(), reviewer=caller.name, decision=decision, comment=comment
        )
        try:
            self._writer.create(Entry(review.key, review.to_json()))
        except ObjectExists:
            review = self._service.read(review_key(identifier), Review)
        self._index.add(review)

    def _revise(
        self,
        caller: Caller,
        identifier: str,
        action: RevisionAction,
        comment: str = "",
        replacement: str | None = None,
    ) -> None:
        now = self._now()
        if (last := self._index.last_decided(identifier)) is not None:
            now = max(now, last + MICROSECOND)  # the order of decisions is that of their times
        revision = Revision(
            revision_id=new_id(now),
            feedback_id=identifier,
            created=now,
            user=caller.name,
            action=action,
            replacement=replacement,
            comment=comment,
        )
        self._writer.create(Entry(revision.key, revision.to_json()))
        self._index.add(revision)

    def _withdraw(self, caller: Caller, identifier: str) -> None:
        """Take back the correction of a reviewer that replaced another one, unless that was done before."""
        try:
            state = self._service.find(identifier).state
        except UnknownFeedback:  # deleted
            return
        if state != "withdrawn":
            self._revise(caller, identifier, "withdrawn")

    def _replaces(self, item: IndexedCorrection, code: str) -> bool:
        """Return whether a correction was replaced by one with this category."""
        if item.decision is None or item.decision.replacement is None:
            return False
        return self._service.find(item.decision.replacement).reading.code == code

    def _replacement(self, caller: Caller, identifier: str, code: VersionedCode, comment: str) -> Correction:
        """Return the correction of a reviewer for the product of another one; repeating it returns the same id."""
        now = self._now()
        original = self._service.read(correction_key(identifier), Correction)
        attempt = self._index.count_revisions(identifier)
        bits = identity(caller.name, f"replacing {identifier} {code.code} {attempt}")
        return original.model_copy(
            update={
                "feedback_id": feedback_id(bits, now),
                "created": now,
                "user": caller.name,
                "role": caller.role,
                "product": original.product or self._product(original),
                "code": code.code,
                "taxonomy_version": code.version,
                "comment": comment,
            }
        )

    def _product(self, original: Correction) -> ProductContent:
        """Return the product of a correction that was stored without it, during an outage of the store."""
        try:
            return read_prediction(self._service.store, str(original.prediction_id)).product
        except (ObjectNotFound, InvalidInput) as error:
            raise FeedbackConflict("the product of the correction is not known; submit a correction of it") from error

    def _now(self) -> datetime:
        return self._service.now()


def _decided(item: IndexedCorrection) -> FeedbackConflict:
    """Return the conflict with the last decision about a correction."""
    last = item.decision
    if last is None:
        raise TypeError("the correction has no decision")
    match last.decision:
        case "withdrawn":
            return FeedbackConflict(f"correction {item.feedback_id!r} was taken back by {last.user!r}")
        case "approved" | "rejected" | "corrected":
            done = f"correction {item.feedback_id!r} was already {last.decision} by {last.user!r}"
            return FeedbackConflict(f"{done}; undo that first")
        case _:
            assert_never(last.decision)
