"""Limit of requests that are served at the same time, for responses that last."""

from collections.abc import Iterator
from contextlib import contextmanager

from inference.http.problems import Overloaded


class ConcurrencyLimit:
    """Counts the requests in progress; used from one event loop."""

    def __init__(self, limit: int, what: str) -> None:
        """Take the largest number, and what is counted, in the plural."""
        self._limit = limit
        self._what = what
        self.in_progress = 0

    @contextmanager
    def slot(self) -> Iterator[None]:
        """Hold one of the slots; raise `Overloaded` at once when none is free."""
        if self.in_progress >= self._limit:
            raise Overloaded(f"{self._limit} {self._what} are open; close one, or send the request later")
        self.in_progress += 1
        try:
            yield
        finally:
            self.in_progress -= 1
