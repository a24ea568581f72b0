"""Pages of corrections for reviewers and for the users who submitted them."""

from inference.feedback_api import CorrectionPage, CorrectionView, ListParameters
from inference.feedback_service.callers import is_reviewer
from inference.feedback_service.index_refresher import IndexRefresher
from inference.feedback_service.service import Caller
from product_classifier.feedback.index import FeedbackIndex
from product_classifier.feedback.index_rows import IndexedCorrection
from product_classifier.feedback.records import Review
from product_classifier.feedback.trust import TRUSTED_STATES
from product_classifier.limits import LISTED_BYTES

MAX_AGE_S = 2.0
WAIT_S = 1.0
"""Longest time that a page waits for corrections of other servers."""


class CorrectionListing:
    """Lists corrections; those of other servers appear within `MAX_AGE_S`, later while the store is slow."""

    def __init__(self, index: FeedbackIndex, refresher: IndexRefresher) -> None:
        self._index = index
        self._refresher = refresher

    def page(self, caller: Caller, parameters: ListParameters) -> CorrectionPage:
        """Return one page of all corrections to a reviewer, of the own ones to any other user.

        Raises:
            UnknownFeedback: If no such page ends with the cursor.
        """
        self._refresher.refresh(WAIT_S, MAX_AGE_S)
        reviewer = is_reviewer(caller)
        is_complete = self._index.is_complete
        found = self._index.page(
            limit=parameters.limit,
            state=parameters.state,
            user=None if reviewer else caller.name,
            cursor=parameters.cursor,
            order=parameters.order,
        )
        views: list[CorrectionView] = []
        size = 0
        for item in found.items:
            view = self.view(item) if reviewer else self.view(item).model_copy(update={"reviewer": None})
            size += len(view.model_dump_json().encode())
            if views and size > LISTED_BYTES:
                return CorrectionPage(
                    items=views, next_cursor=views[-1].feedback_id, total=found.total, is_complete=is_complete
                )
            views.append(view)
        return CorrectionPage(items=views, next_cursor=found.next_cursor, total=found.total, is_complete=is_complete)

    def view(self, item: IndexedCorrection, review: Review | None = None) -> CorrectionView:
        """Return a correction as the API represents it, with a review that is newer than the item."""
        state = review.decision if review else item.state
        taxonomy, reading = self._index.taxonomy.known, item.reading
        code = reading.code or item.code
        predicted = item.predicted
        if predicted is not None:
            predicted = taxonomy.read(predicted, item.predicted_version).code or predicted
        return CorrectionView(
            feedback_id=item.feedback_id,
            state=state,
            counts=state in TRUSTED_STATES and item.product is not None and reading.code is not None,
            code=taxonomy.newest.to_json_code(code),
            label=taxonomy.label(code),
            given=None if reading.code == item.code else taxonomy.newest.to_json_code(item.code),
            decided=reading.decided and reading.code is not None,
            user=item.user,
            role=item.role,
            comment=item.comment,
            created=item.created,
            prediction_id=item.prediction_id,
            predicted=None if predicted is None else taxonomy.newest.to_json_code(predicted),
            release=item.release,
            product=item.product,
            is_cut=item.is_cut,
            reviewer=review.reviewer if review else item.reviewer,
            reviewed=review.created if review else item.reviewed,
            confidence=item.confidence,
        )
