"""Pages of corrections for reviewers, newest first."""

import threading
from time import monotonic

from inference.feedback_api import CorrectionPage, CorrectionView, ListParameters
from product_classifier.errors import StoreUnavailable, UnknownFeedback
from product_classifier.feedback.index import FeedbackIndex
from product_classifier.feedback.records import Correction, Review
from product_classifier.feedback.trust import TRUSTED_STATES, State
from product_classifier.taxonomy import Taxonomy

REFRESH_INTERVAL_S = 2.0


class CorrectionListing:
    """Lists all corrections; those of other servers appear within `REFRESH_INTERVAL_S`.

    While the store is unavailable it lists what was read before.
    """

    def __init__(self, index: FeedbackIndex, taxonomy: Taxonomy) -> None:
        self._index = index
        self._taxonomy = taxonomy
        self._lock = threading.Lock()
        self._refreshed = -REFRESH_INTERVAL_S

    def page(self, parameters: ListParameters) -> CorrectionPage:
        """Return one page; the cursor is the id of the last correction on the previous page."""
        self._refresh()
        state, cursor = parameters.state, parameters.cursor
        states = self._index.states()
        found = [item for item in self._index.corrections() if state is None or states[item.feedback_id] == state]
        found.sort(key=lambda item: (item.created, item.feedback_id), reverse=True)
        remaining = found
        if cursor is not None:
            last = self._index.get(cursor)
            if last is None:
                raise UnknownFeedback(f"cursor: no page ends with {cursor!r}; start again without it")
            position = (last.created, last.feedback_id)
            remaining = [item for item in found if (item.created, item.feedback_id) < position]
        items = remaining[: parameters.limit]
        return CorrectionPage(
            items=[self.view(item, states[item.feedback_id], self._index.review(item.feedback_id)) for item in items],
            next_cursor=items[-1].feedback_id if len(remaining) > parameters.limit else None,
            total=len(found),
        )

    def view(self, correction: Correction, state: State, review: Review | None) -> CorrectionView:
        """Return a correction as the API represents it."""
        return CorrectionView(
            **correction.model_dump(exclude={"product"}),
            product=correction.product,
            state=state,
            counts=state in TRUSTED_STATES and correction.product is not None,
            label=self._taxonomy[correction.code].label_fr,
            reviewer=review.reviewer if review else None,
            reviewed=review.created if review else None,
        )

    def _refresh(self) -> None:
        with self._lock:
            if monotonic() - self._refreshed < REFRESH_INTERVAL_S:
                return
            try:
                self._index.refresh()
            except StoreUnavailable:
                return
            self._refreshed = monotonic()
