"""Pages of predictions for reviewers and for the users who requested them."""

from collections.abc import Mapping, Sequence

from inference.feedback_service.callers import is_reviewer
from inference.feedback_service.category_views import candidate_view, category_view, newest_category
from inference.feedback_service.index_refresher import IndexRefresher
from inference.feedback_service.service import Caller
from inference.http.api_models import ModalitiesView
from inference.http.problems import public_message
from inference.prediction_api import GivenFeedback, ListedPrediction, ListedPredictionPage, PredictionListParameters
from product_classifier.errors import InvalidInput, ObjectNotFound, UnknownPrediction
from product_classifier.feedback.index import FeedbackIndex
from product_classifier.feedback.index_rows import IndexedCorrection
from product_classifier.feedback.prediction_index import PredictionFilter, PredictionIndex
from product_classifier.feedback.prediction_rows import IndexedPrediction, indexed
from product_classifier.feedback.stored_products import read_prediction
from product_classifier.limits import LISTED_BYTES
from product_classifier.store import ObjectStore
from product_classifier.stored_taxonomy.change_store import TaxonomyState

MAX_AGE_S = 2.0
WAIT_S = 1.0
"""Longest time that a page waits for predictions that gateways have just stored."""


class PredictionListing:
    """Lists predictions with the feedback on them; new ones appear within `MAX_AGE_S`."""

    def __init__(
        self, store: ObjectStore, predictions: PredictionIndex, corrections: FeedbackIndex, refresher: IndexRefresher
    ) -> None:
        self._store = store
        self._predictions = predictions
        self._corrections = corrections
        self._refresher = refresher

    def page(self, caller: Caller, parameters: PredictionListParameters) -> ListedPredictionPage:
        """Return one page of all predictions to a reviewer, of the own ones to any other user.

        Raises:
            UnknownPrediction: If no such page ends with the cursor.
            InvalidInput: If `q` has no letter and no digit.
        """
        self._refresher.refresh(WAIT_S, MAX_AGE_S)
        is_complete = self._predictions.is_complete
        chosen = PredictionFilter(
            user=None if is_reviewer(caller) else caller.name,
            since=parameters.since,
            until=parameters.until,
            category=parameters.category,
            decision=parameters.decision,
            release=parameters.release,
            q=parameters.q or "",
        )
        found = self._predictions.page(chosen, limit=parameters.limit, cursor=parameters.cursor)
        views: list[ListedPrediction] = []
        size = 0
        for view in self._views(caller, found.items):
            size += len(view.model_dump_json().encode())
            if views and size > LISTED_BYTES:
                return ListedPredictionPage(items=views, next_cursor=views[-1].prediction_id, is_complete=is_complete)
            views.append(view)
        return ListedPredictionPage(items=views, next_cursor=found.next_cursor, is_complete=is_complete)

    def get(self, caller: Caller, prediction_id: str) -> ListedPrediction:
        """Return a prediction with its whole texts.

        Raises:
            UnknownPrediction: If the caller may see none of this id.
        """
        unknown = UnknownPrediction(f"prediction_id: no prediction has the id {public_message(prediction_id)}")
        try:
            record = read_prediction(self._store, prediction_id)
        except (ObjectNotFound, InvalidInput) as error:
            raise unknown from error
        if record.user != caller.name and not is_reviewer(caller):
            raise unknown
        (view,) = self._views(caller, [indexed(record)])
        return view

    def _views(self, caller: Caller, items: Sequence[IndexedPrediction]) -> list[ListedPrediction]:
        state = self._corrections.taxonomy.known
        feedback = self._corrections.of_predictions([item.prediction_id for item in items])
        return [_view(caller, state, item, feedback) for item in items]


def _view(
    caller: Caller,
    state: TaxonomyState,
    item: IndexedPrediction,
    feedback: Mapping[str, Sequence[IndexedCorrection]],
) -> ListedPrediction:
    text, image = item.modalities.text, item.modalities.image
    return ListedPrediction(
        prediction_id=item.prediction_id,
        created=item.created,
        user=item.user,
        product=item.product,
        is_cut=item.is_cut,
        category=category_view(state, item.code, item.taxonomy_version),
        confidence=item.confidence,
        decision=item.decision,
        top=[candidate_view(state, one) for one in item.top],
        modalities=ModalitiesView(
            text=candidate_view(state, text) if text else None, image=candidate_view(state, image) if image else None
        ),
        degraded=item.degraded,
        release=item.release,
        feedback=[_feedback(caller, state, one) for one in feedback.get(item.prediction_id, ())],
    )


def _feedback(caller: Caller, state: TaxonomyState, item: IndexedCorrection) -> GivenFeedback:
    category = newest_category(state, item.reading.code or item.code)
    is_visible = is_reviewer(caller) or item.user == caller.name
    return GivenFeedback(
        feedback_id=item.feedback_id,
        code=category.code,
        label=category.label,
        state=item.state,
        user=item.user if is_visible else None,
        created=item.created,
    )
