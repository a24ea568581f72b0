"""The queue: candidates, leased to one user at a time."""

import os
import random
import threading
from collections.abc import Callable, Iterable
from datetime import datetime
from time import monotonic

from inference.feedback_api import CorrectedPrediction
from inference.feedback_service.category_views import candidate_view, category_view
from inference.feedback_service.index_refresher import IndexRefresher
from inference.feedback_service.service import Caller
from inference.http.problems import Problem
from inference.queue_api import QueueItem, QueuePage, QueueParameters
from product_classifier.errors import InvalidInput, ObjectNotFound
from product_classifier.feedback.index import FeedbackIndex
from product_classifier.feedback.index_rows import product_of
from product_classifier.feedback.known_answers import GivenAnswer, KnownAnswers
from product_classifier.feedback.prediction_index import PredictionIndex
from product_classifier.feedback.prediction_rows import IndexedPrediction
from product_classifier.feedback.queue_candidates import Candidate, CandidateSource
from product_classifier.feedback.queue_leases import DURATION, QueueLeases
from product_classifier.feedback.queue_records import QueueEntry, QueueLease
from product_classifier.feedback.records import ProductContent
from product_classifier.feedback.stored_products import read_corrected_product, read_prediction
from product_classifier.feedback.trust import agreement_key
from product_classifier.store import ObjectStore

COLLECT_S = 30.0
"""Age from which candidates are collected again."""
WAIT_S = 1.0
MAX_WITH_PHOTO = 20
"""Products with one photo whose leases are read."""


class LabelQueue:
    """Leases candidates to users. Thread-safe; leases are in the store, which servers share."""

    def __init__(
        self,
        store: ObjectStore,
        predictions: PredictionIndex,
        corrections: FeedbackIndex,
        refreshers: Iterable[IndexRefresher],
        now: Callable[[], datetime],
        *,
        suspects: Callable[[], Iterable[QueueEntry]] = tuple,
        known_answer_share: float = 0.0,
    ) -> None:
        """Take what candidates are made of.

        Args:
            store: Has records, entries of pipelines and leases.
            predictions: Predictions of the store.
            corrections: Corrections of the store.
            refreshers: Of both indexes.
            now: Returns the time in UTC.
            suspects: Returns entries of training labels that are probably wrong.
            known_answer_share: Share of the items that are products with a known answer.
        """
        self._known_answers = KnownAnswers(store, now)
        self._known_answer_share = known_answer_share
        self._store = store
        self._predictions = predictions
        self._corrections = corrections
        self._refreshers = tuple(refreshers)
        self._now = now
        self._source = CandidateSource(store, predictions, corrections, suspects)
        self._leases = QueueLeases(store, now)
        self._lock = threading.Lock()
        self._collected: dict[str, Candidate] = {}
        self._collected_at = now()
        self._collect_at = 0.0
        self._held: dict[str, QueueLease] = {}
        """Leases by item that this server knows; the store decides."""

    def page(self, caller: Caller, parameters: QueueParameters) -> QueuePage:
        """Return items that are leased to the caller, up to a limit.

        Raises:
            StoreUnavailable: If the store, which has the leases, cannot be reached.
        """
        candidates = [one for one in self._candidates() if parameters.reason in {None, one.reason}]
        items: list[QueueItem] = []
        for candidate in sorted(candidates, key=lambda one: not self._is_held(caller, one)):
            if len(items) == parameters.limit:
                break
            lease = self._lease(caller, candidate)
            item = None if lease is None else self._item(candidate, lease)
            if item is not None:
                items.append(item)
        is_due = random.random() < self._known_answer_share * len(items)  # noqa: S311 - no secret
        if items and parameters.reason is None and is_due:
            items[-1] = self._known_item(caller) or items[-1]
        return QueuePage(items=items, waiting=len(candidates))

    def answer(self, caller: Caller, item_id: str, code: str) -> GivenAnswer | None:
        """Store the answer for an item with a known answer; None if the item is none.

        Args:
            caller: Whom the item was offered to.
            item_id: Id of the item.
            code: The category that the caller gives, in the newest version of the taxonomy.
        """
        offered = self._known_answers.find(caller.name, item_id)
        if offered is None:
            return None
        expected = self._corrections.taxonomy.known.read(offered.code, offered.taxonomy_version).code
        return self._known_answers.answer(offered, expected or offered.code, code)

    def _known_item(self, caller: Caller) -> QueueItem | None:
        """Return a product with a known answer as an item like others; None if there is none for the caller."""
        correction = self._corrections.decided_by_reviewer(caller.name, os.urandom(32))
        if correction is None or correction.product is None or self._corrections.has_vote(correction, caller.name):
            return None
        try:
            product = read_corrected_product(self._store, correction.feedback_id)
        except (ObjectNotFound, InvalidInput):
            return None
        offered = self._known_answers.offer(caller.name, correction, product)
        lease = QueueLease(
            item_id=offered.item_id, number=1, user=caller.name, created=self._now(), expires=self._now() + DURATION
        )
        return self._item(Candidate(offered.item_id, "uncertain", product=product), lease)

    def skip(self, caller: Caller, item_id: str) -> None:
        """Do not offer an item to the caller again; raise a 404 problem if the caller has no lease of it."""
        self._require_lease(caller, item_id)
        self._leases.skip(caller.name, item_id)

    def product_of(self, caller: Caller, item_id: str) -> tuple[str | None, ProductContent]:
        """Return the prediction id, if any, and the whole product of an item leased to the caller.

        Raises:
            Problem: 404 if the caller has no lease of it, or the product was deleted.
        """
        self._require_lease(caller, item_id)
        candidate = self._collected.get(item_id) or {one.item_id: one for one in self._candidates()}.get(item_id)
        if candidate is None:
            raise _unknown(item_id)
        try:
            if candidate.prediction_id is not None:
                return candidate.prediction_id, read_prediction(self._store, candidate.prediction_id).product
            if candidate.feedback_id is not None:
                return None, read_corrected_product(self._store, candidate.feedback_id)
        except (ObjectNotFound, InvalidInput) as error:
            raise _unknown(item_id) from error
        if candidate.product is None:
            raise _unknown(item_id)
        return None, candidate.product

    def has_photo(self, user: str, sha256: str) -> bool:
        """Return whether a product with this photo is leased to a user."""
        ids = {one.prediction_id for one in self._predictions.with_photo(sha256, MAX_WITH_PHOTO)}
        candidates = list(self._collected.values())
        found = [one.item_id for one in candidates if one.prediction_id in ids or _has_photo(one.product, sha256)]
        return any(self._leases.holds(user, item) for item in found[:MAX_WITH_PHOTO])

    def _candidates(self) -> list[Candidate]:
        with self._lock:
            if monotonic() >= self._collect_at or not self._collected:
                for refresher in self._refreshers:
                    refresher.refresh(WAIT_S, WAIT_S)
                self._collected_at = self._now()
                self._collected = {one.item_id: one for one in self._source.collect(self._now())}
                self._collect_at = monotonic() + COLLECT_S
                now = self._now()
                self._held = {item: lease for item, lease in self._held.items() if lease.expires > now}
            return list(self._collected.values())

    def _is_held(self, caller: Caller, candidate: Candidate) -> bool:
        lease = self._held.get(candidate.item_id)
        return lease is not None and lease.user == caller.name and lease.expires > self._now()

    def _lease(self, caller: Caller, candidate: Candidate) -> QueueLease | None:
        """Return the caller's lease of a candidate; None if another user has it, or it is not for the caller."""
        known = self._held.get(candidate.item_id)
        if known is not None and known.user != caller.name and known.expires > self._now():
            return None
        if self._is_answered(caller, candidate) or self._leases.is_skipped(caller.name, candidate.item_id):
            return None
        lease = self._leases.acquire(caller.name, candidate.item_id)
        if lease is not None:
            self._held[candidate.item_id] = lease
        return lease

    def _is_answered(self, caller: Caller, candidate: Candidate) -> bool:
        """Return whether a product has been labelled since candidates were collected, or by the caller before."""
        if candidate.feedback_id is not None:
            item = self._corrections.get(candidate.feedback_id)
            since = item.created if item is not None and candidate.reason == "split" else None
            return item is None or self._corrections.has_vote(item, caller.name, since=since)
        if candidate.prediction_id is not None:
            given = self._corrections.of_predictions([candidate.prediction_id]).get(candidate.prediction_id, [])
            return any(one.state != "withdrawn" for one in given)
        newest = None
        if candidate.product is not None:
            newest = self._corrections.newest_of_product(agreement_key(candidate.product))
        return newest is not None and newest >= self._collected_at

    def _item(self, candidate: Candidate, lease: QueueLease) -> QueueItem | None:
        """Return a leased candidate as the API represents it; None if its product was deleted."""
        taxonomy, version = self._corrections.taxonomy.known, candidate.taxonomy_version
        prediction = self._predictions.get(candidate.prediction_id) if candidate.prediction_id else None
        product = candidate.product or (prediction.product if prediction else None)
        if product is None:
            return None
        shown, is_cut = product_of(product.designation, product.description, product.image_sha256)
        label, suggested = (
            None if code is None else category_view(taxonomy, code, version)
            for code in (candidate.label, candidate.suggested)
        )
        return QueueItem(
            item_id=candidate.item_id,
            reason=candidate.reason,
            detail=candidate.detail,
            score=candidate.score,
            leased_until=lease.expires,
            product=shown or product,
            is_cut=is_cut or (prediction is not None and prediction.is_cut),
            prediction=None if prediction is None else self._prediction(prediction),
            feedback_id=candidate.feedback_id,
            label=label,
            suggested=suggested,
        )

    def _prediction(self, one: IndexedPrediction) -> CorrectedPrediction:
        taxonomy = self._corrections.taxonomy.known
        return CorrectedPrediction(
            prediction_id=one.prediction_id,
            category=category_view(taxonomy, one.code, one.taxonomy_version),
            confidence=one.confidence,
            decision=one.decision,
            top=[candidate_view(taxonomy, candidate) for candidate in one.top],
            release=one.release,
        )

    def _require_lease(self, caller: Caller, item_id: str) -> None:
        if not self._leases.holds(caller.name, item_id):
            raise _unknown(item_id)


def _has_photo(product: ProductContent | None, sha256: str) -> bool:
    return product is not None and product.image_sha256 == sha256


def _unknown(item_id: str) -> Problem:
    return Problem(
        404, f"item_id: no item {item_id!r} of the queue is leased to you; get the queue", kind="unknown-item"
    )
