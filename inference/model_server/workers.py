"""Threads for the work that would hold up the event loop, and limits on how much of it may wait, and for how long."""

import asyncio
import contextvars
import threading
import time
from collections.abc import Callable
from concurrent.futures import Future, ThreadPoolExecutor
from typing import ParamSpec, TypeVar

from inference.http.problems import Overloaded

P = ParamSpec("P")
T = TypeVar("T")


class WorkerPool:
    """A few threads with a queue that can be full.

    Work whose caller is cancelled before a thread takes it is not begun; work that has waited too long is refused when
    its turn comes, because the time is better spent on a caller who has just come.
    """

    def __init__(self, threads: int, waiting: int, patience_s: float = float("inf")) -> None:
        self._pool = ThreadPoolExecutor(threads, thread_name_prefix="model")
        self._most = threads + waiting
        self._patience_s = patience_s
        self._now = 0
        self._lock = threading.Lock()

    async def run(self, work: Callable[P, T], /, *args: P.args, **kwargs: P.kwargs) -> T:
        """Do the work on a thread.

        Raises:
            Overloaded: If as much work as may wait already does, or this work waited too long.
        """
        with self._lock:
            if self._now >= self._most:
                raise Overloaded(f"{self._now} requests are being answered or wait already")
            self._now += 1
        context, since = contextvars.copy_context(), time.monotonic()

        def begin() -> T:
            waited = time.monotonic() - since
            if waited > self._patience_s:
                raise Overloaded(f"no thread was free for {waited:.1f} s")
            return context.run(work, *args, **kwargs)

        future = self._pool.submit(begin)
        future.add_done_callback(self._done)  # when the thread is free again, which may be after the caller has gone
        return await asyncio.wrap_future(future)

    def _done(self, _: "Future[T]") -> None:
        with self._lock:
            self._now -= 1

    def close(self) -> None:
        """Let the threads finish what they do, and end."""
        self._pool.shutdown(wait=True, cancel_futures=True)
