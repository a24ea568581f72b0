"""Pages of corrections for reviewers, newest first."""

import threading
from time import monotonic

from inference.feedback_api import CorrectionPage, CorrectionView, ListParameters
from product_classifier.errors import StoreUnavailable, UnknownFeedback
from product_classifier.feedback.index import FeedbackIndex
from product_classifier.feedback.records import Correction, Review
from product_classifier.feedback.trust import State
from product_classifier.taxonomy import CHALLENGE

FRESH_S = 2.0


class Listing:
    """Reads what other servers wrote at most every `FRESH_S`; while the store is away it shows what is known."""

    def __init__(self, book: FeedbackIndex) -> None:
        self._book = book
        self._lock = threading.Lock()
        self._refreshed = -FRESH_S

    def page(self, parameters: ListParameters) -> CorrectionPage:
        """Return one page; the cursor is the id of the last correction on the page before."""
        self._refresh()
        state, cursor = parameters.state, parameters.cursor
        states = self._book.states()
        found = [item for item in self._book.corrections() if state is None or states[item.feedback_id] == state]
        found.sort(key=lambda item: (item.created, item.feedback_id), reverse=True)
        rest = found
        if cursor is not None:
            last = self._book.get(cursor)
            if last is None:
                raise UnknownFeedback(f"cursor: no page ends with {cursor!r}; start again without it")
            place = (last.created, last.feedback_id)
            rest = [item for item in found if (item.created, item.feedback_id) < place]
        shown = rest[: parameters.limit]
        return CorrectionPage(
            items=[
                correction_view(item, states[item.feedback_id], self._book.review(item.feedback_id)) for item in shown
            ],
            next_cursor=shown[-1].feedback_id if len(rest) > parameters.limit else None,
            total=len(found),
        )

    def _refresh(self) -> None:
        with self._lock:
            if monotonic() - self._refreshed < FRESH_S:
                return
            try:
                self._book.refresh()
            except StoreUnavailable:
                return
            self._refreshed = monotonic()


def correction_view(correction: Correction, state: State, review: Review | None) -> CorrectionView:
    """Return a correction as the API shows it."""
    return CorrectionView(
        **correction.model_dump(exclude={"product"}),
        product=correction.product,
        state=state,
        counts=state in {"trusted", "approved", "agreed"} and correction.product is not None,
        label=CHALLENGE[correction.code].label_fr,
        reviewer=review.reviewer if review else None,
        reviewed=review.created if review else None,
    )
