"""Threads for work that would block the event loop, with limits on queue length and waiting time."""

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
    """A thread pool with a bounded queue.

    Work that is cancelled before a thread is free is not started. Work that waited longer than `max_wait_s` fails when
    a thread is free: its client has probably timed out, and the thread is better used for a new request.
    """

    def __init__(self, threads: int, max_waiting: int, max_wait_s: float = float("inf")) -> None:
        self._pool = ThreadPoolExecutor(threads, thread_name_prefix="model")
        self._max_pending = threads + max_waiting
        self._max_wait_s = max_wait_s
        self._pending = 0
        self._lock = threading.Lock()

    async def run(self, work: Callable[P, T], /, *args: P.args, **kwargs: P.kwargs) -> T:
        """Call `work` on a thread, in the context of the caller, and return its result.

        Raises:
            Overloaded: If the queue is full, or this work waited too long in it.
        """
        with self._lock:
            if self._pending >= self._max_pending:
                raise Overloaded(f"{self._pending} requests are in progress or waiting; retry later")
            self._pending += 1
        context, since = contextvars.copy_context(), time.monotonic()

        def start() -> T:
            waited = time.monotonic() - since
            if waited > self._max_wait_s:
                raise Overloaded(f"no thread was free for {waited:.1f} s; retry later")
            return context.run(work, *args, **kwargs)

        future = self._pool.submit(start)
        future.add_done_callback(self._release)  # when the thread is free, which may be after a cancellation
        return await asyncio.wrap_future(future)

    def _release(self, _: "Future[T]") -> None:
        with self._lock:
            self._pending -= 1

    def close(self) -> None:
        """Cancel what waits and block until running work has ended."""
        self._pool.shutdown(wait=True, cancel_futures=True)
