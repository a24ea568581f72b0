"""Pages of corrections for reviewers and for the users who submitted them."""

from collections.abc import Mapping, Sequence

from inference.feedback_api import (
    Agreement,
    CategoryVotes,
    CorrectedPrediction,
    CorrectionPage,
    CorrectionView,
    ListParameters,
)
from inference.feedback_service.callers import is_reviewer
from inference.feedback_service.category_views import candidate_view, category_view, newest_category
from inference.feedback_service.index_refresher import IndexRefresher
from inference.feedback_service.service import Caller
from inference.http.problems import Problem
from product_classifier.feedback.correction_filter import CorrectionFilter
from product_classifier.feedback.index import FeedbackIndex
from product_classifier.feedback.index_rows import IndexedCorrection
from product_classifier.feedback.prediction_index import PredictionIndex
from product_classifier.feedback.prediction_rows import IndexedPrediction
from product_classifier.feedback.trust import TRUSTED_STATES
from product_classifier.limits import LISTED_BYTES
from product_classifier.stored_taxonomy.change_store import TaxonomyState

MAX_AGE_S = 2.0
WAIT_S = 1.0
"""Longest time that a page waits for corrections of other servers."""


class CorrectionListing:
    """Lists corrections; those of other servers appear within `MAX_AGE_S`, later while the store is slow."""

    def __init__(self, index: FeedbackIndex, predictions: PredictionIndex, refresher: IndexRefresher) -> None:
        self._index = index
        self._predictions = predictions
        self._refresher = refresher

    def page(self, caller: Caller, parameters: ListParameters) -> CorrectionPage:
        """Return one page of all corrections to a reviewer, of the own ones to any other user.

        Raises:
            UnknownFeedback: If no such page ends with the cursor.
        """
        self._refresher.refresh(WAIT_S, MAX_AGE_S)
        reviewer = is_reviewer(caller)
        is_complete = self._index.is_complete
        own = None if reviewer else caller.name
        found = self._index.page(
            _filter(parameters, own), limit=parameters.limit, cursor=parameters.cursor, order=parameters.order
        )
        counts = {state: number for state, number in self._index.count_by_state(own).items() if number}
        views: list[CorrectionView] = []
        next_cursor, size = found.next_cursor, 0
        for view in self.views(caller, found.items):
            size += len(view.model_dump_json().encode())
            if views and size > LISTED_BYTES:
                next_cursor = views[-1].feedback_id
                break
            views.append(view)
        return CorrectionPage(
            items=views, next_cursor=next_cursor, total=found.total, counts=counts, is_complete=is_complete
        )

    def view(self, caller: Caller, item: IndexedCorrection) -> CorrectionView:
        """Return a correction as the API represents it to a user."""
        (view,) = self.views(caller, [item])
        return view

    def views(self, caller: Caller, items: Sequence[IndexedCorrection]) -> list[CorrectionView]:
        """Return corrections as the API represents them to a user."""
        identifiers = [item.prediction_id for item in items if item.prediction_id is not None]
        predictions = self._predictions.find(identifiers)
        votes: dict[bytes, dict[str, int]] = {}
        keys = (item.agreement_key for item in items if item.agreement_key is not None)
        for (key, code), users in self._index.count_agreement(keys).items():
            votes.setdefault(key, {})[code] = users
        return [self._view(caller, item, predictions.get(item.prediction_id or ""), votes) for item in items]

    def _view(
        self,
        caller: Caller,
        item: IndexedCorrection,
        prediction: IndexedPrediction | None,
        votes: Mapping[bytes, Mapping[str, int]],
    ) -> CorrectionView:
        taxonomy, reading = self._index.taxonomy.known, item.reading
        code = reading.code or item.code
        category = newest_category(taxonomy, code)
        predicted = item.predicted
        if predicted is not None:
            predicted = taxonomy.read(predicted, item.predicted_version).code or predicted
        counts = item.state in TRUSTED_STATES and item.product is not None and reading.code is not None
        return CorrectionView(
            feedback_id=item.feedback_id,
            state=item.state,
            counts=counts,
            code=category.code,
            label=category.label,
            path=category.path,
            given=None if reading.code == item.code else taxonomy.newest.to_json_code(item.code),
            decided=reading.decided and reading.code is not None,
            kind="confirmation" if item.is_confirmation else "correction",
            user=item.user,
            role=item.role,
            comment=item.comment,
            created=item.created,
            prediction_id=item.prediction_id,
            prediction=_prediction(taxonomy, item, prediction),
            predicted=None if predicted is None else taxonomy.newest.to_json_code(predicted),
            release=item.release,
            product=item.product,
            is_cut=item.is_cut,
            reviewer=item.decision.user if item.decision and is_reviewer(caller) else None,
            reviewed=item.decision.created if item.decision else None,
            confidence=item.confidence,
            agreement=None if item.agreement_key is None else _agreement(taxonomy, item, votes),
            superseded_by=self._index.newest_vote(item) if item.state == "superseded" else None,
            replaced_by=item.decision.replacement if item.decision else None,
        )


def _filter(parameters: ListParameters, own: str | None) -> CorrectionFilter:
    """Return the filter of a request; `own` is the user who may list no others."""
    if own is not None and parameters.user not in {None, own}:
        raise Problem(403, "user: only reviewers list the corrections of others; leave it out", kind="forbidden")
    return CorrectionFilter(
        user=own or parameters.user,
        state=parameters.state,
        category=parameters.category,
        kind=parameters.kind,
        min_confidence=parameters.min_confidence,
        max_confidence=parameters.max_confidence,
        since=parameters.since,
        until=parameters.until,
        q=parameters.q or "",
    )


def _prediction(
    taxonomy: TaxonomyState, item: IndexedCorrection, prediction: IndexedPrediction | None
) -> CorrectedPrediction | None:
    if item.prediction_id is None:
        return None
    category = None
    if item.predicted is not None:
        category = category_view(taxonomy, item.predicted, item.predicted_version)
    elif prediction is not None:
        category = category_view(taxonomy, prediction.code, prediction.taxonomy_version)
    return CorrectedPrediction(
        prediction_id=item.prediction_id,
        category=category,
        confidence=prediction.confidence if prediction else item.confidence,
        decision=prediction.decision if prediction else None,
        top=[candidate_view(taxonomy, one) for one in prediction.top] if prediction else [],
        release=prediction.release if prediction else item.release,
    )


def _agreement(taxonomy: TaxonomyState, item: IndexedCorrection, votes: Mapping[bytes, Mapping[str, int]]) -> Agreement:
    of_product = votes.get(item.agreement_key or b"", {})
    own = item.reading.code
    others = []
    for code, users in sorted(of_product.items()):
        if code != own:
            category = newest_category(taxonomy, code)
            others.append(CategoryVotes(code=category.code, label=category.label, users=users))
    waits = item.state == "pending"
    return Agreement(
        users=of_product.get(own or "", 0), others=others, waits_for=["reviewer", "second_user"] if waits else []
    )
