"""Admission of photos by the time it takes to decode them, per user."""

from collections import defaultdict
from collections.abc import Iterator, Sequence
from contextlib import contextmanager

from inference.auth_proxy.predictions.product_reader import RequestProduct
from inference.http.problems import Problem

IN_PROGRESS_MS = 1000.0
"""Estimated decoding time of one user's photos in progress: what a predictor does before its deadline with one thread.

Fifty JPEG photos of one megapixel need a quarter of it, five of the most expensive photos all of it.
"""


class DecodingBudget:
    """Estimated milliseconds of decoding in progress, by user; belongs to one event loop."""

    def __init__(self, limit_ms: float = IN_PROGRESS_MS) -> None:
        self._limit_ms = limit_ms
        self._in_progress: defaultdict[str, float] = defaultdict(float)

    @contextmanager
    def admit(self, user: str, products: Sequence[RequestProduct]) -> Iterator[None]:
        """Hold the decoding time of a request; raise a 429 problem if it exceeds the limit.

        A user without a photo in progress is always admitted.
        """
        ms = sum(product.photo.decoding_ms for product in products if product.photo is not None)
        if not ms:
            yield
            return
        held = self._in_progress.get(user, 0.0)
        if held and held + ms > self._limit_ms:
            raise Problem(
                429,
                f"photos that take {held:.0f} ms to decode are in progress, and this one takes {ms:.0f} ms of"
                f" {self._limit_ms:.0f} ms in all; send fewer large photos at once",
                kind="rate-limit",
                headers={"Retry-After": "1"},
            )
        self._in_progress[user] = held + ms
        try:
            yield
        finally:
            self._in_progress[user] -= ms
            if self._in_progress[user] < 1e-6:
                del self._in_progress[user]
