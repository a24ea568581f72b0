"""Threads for the work that would hold up the event loop, and a limit on how much of it may wait."""

import asyncio
import contextvars
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from typing import ParamSpec, TypeVar

from inference.errors import Overloaded

P = ParamSpec("P")
T = TypeVar("T")


class Workers:
    """A few threads with a queue that can be full."""

    def __init__(self, threads: int, waiting: int) -> None:
        self._pool = ThreadPoolExecutor(threads, thread_name_prefix="model")
        self._most = threads + waiting
        self._now = 0

    async def run(self, work: Callable[P, T], /, *args: P.args, **kwargs: P.kwargs) -> T:
        """Do the work on a thread.

        Raises:
            Overloaded: If as much work as may wait already does.
        """
        if self._now >= self._most:
            raise Overloaded(f"{self._now} requests are being answered or wait already")
        self._now += 1
        context = contextvars.copy_context()
        future = asyncio.get_running_loop().run_in_executor(self._pool, lambda: context.run(work, *args, **kwargs))
        future.add_done_callback(self._done)  # also when the caller gave up waiting: the thread is still busy
        return await asyncio.shield(future)

    def _done(self, future: asyncio.Future[T]) -> None:
        self._now -= 1
        if not future.cancelled():
            future.exception()  # the caller may be gone; then nobody else looks at it

    def close(self) -> None:
        """Let the threads finish what they do, and end."""
        self._pool.shutdown(wait=True, cancel_futures=True)
