"""Threads for responses that take long to build, so that those of submissions stay free."""

from collections.abc import Callable
from typing import TypeVar

from anyio import CapacityLimiter, to_thread
from fastapi import Response

from inference.http.problems import Overloaded

T = TypeVar("T")


class BoundedThreads:
    """Runs functions that build a response in a few threads; a bounded number of them waits."""

    def __init__(self, threads: int, max_waiting: int) -> None:
        self._limiter = CapacityLimiter(threads)
        self._max_waiting = max_waiting

    async def call(self, work: Callable[[], T]) -> T:
        """Return what a function returns that a thread runs; raise `Overloaded` if too many are waiting."""
        if self._limiter.statistics().tasks_waiting >= self._max_waiting:
            raise Overloaded(f"{self._max_waiting} requests are waiting for a thread; send the request later")
        return await to_thread.run_sync(work, limiter=self._limiter)

    async def run(self, build: Callable[[], str], status: int = 200) -> Response:
        """Return a response of the JSON that `build` returns; raise `Overloaded` if too many are waiting."""
        body = await self.call(build)
        return Response(body, status, media_type="application/json")
