"""Pages of corrections for reviewers, newest first."""

import threading
from time import monotonic

from inference.feedback_service.bodies import CorrectionPage, view
from product_classifier.errors import InvalidInput, StoreUnavailable
from product_classifier.feedback.index import CorrectionBook
from product_classifier.feedback.trust import State

FRESH_S = 2.0


class Listing:
    """Reads what other servers wrote at most every `FRESH_S`; while the store is away it shows what is known."""

    def __init__(self, book: CorrectionBook) -> None:
        self._book = book
        self._lock = threading.Lock()
        self._refreshed = -FRESH_S

    def page(self, state: State | None, limit: int, cursor: str | None) -> CorrectionPage:
        """Return one page; the cursor is the id of the last correction on the page before."""
        self._refresh()
        states = self._book.states()
        found = [item for item in self._book.corrections() if state is None or states[item.feedback_id] == state]
        found.sort(key=lambda item: (item.created, item.feedback_id), reverse=True)
        rest = found
        if cursor is not None:
            last = self._book.get(cursor)
            if last is None:
                raise InvalidInput(f"no page ends with the cursor {cursor[:60]!r}")
            place = (last.created, last.feedback_id)
            rest = [item for item in found if (item.created, item.feedback_id) < place]
        shown = rest[:limit]
        return CorrectionPage(
            items=[view(item, states[item.feedback_id], self._book.review(item.feedback_id)) for item in shown],
            next_cursor=shown[-1].feedback_id if len(rest) > limit else None,
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
