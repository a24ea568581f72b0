"""Threads for work that would block the event loop, shared fairly between users."""

import asyncio
import contextvars
import threading
import time
from collections import Counter, OrderedDict, deque
from collections.abc import Callable
from concurrent.futures import Future, ThreadPoolExecutor
from dataclasses import dataclass
from functools import partial
from typing import Any, ParamSpec, TypeVar

from inference.http.problems import Overloaded
from inference.http.request_user import request_user

P = ParamSpec("P")
T = TypeVar("T")

LONG_WAITING = 16
"""Pieces of long work of one user that may wait."""


@dataclass(slots=True, eq=False)
class _Work:
    call: Callable[[], Any]
    user: str
    long: bool
    since: float
    future: "Future[Any]"


class WorkerPool:
    """A thread pool with a bounded queue, in which the users' work takes turns.

    Work that is cancelled before a thread is free is not started. Work that waited longer than `max_wait_s` fails when
    a thread is free: its client has probably timed out, and the thread is better used for a new request. Long work of
    one user leaves one thread to the others, if there are several.
    """

    def __init__(self, threads: int, max_waiting: int, max_wait_s: float = float("inf")) -> None:
        self._pool = ThreadPoolExecutor(threads, thread_name_prefix="model")
        self._max_pending = threads + max_waiting
        self._max_wait_s = max_wait_s
        self._long_at_once = max(1, threads - 1)
        self._lock = threading.Lock()
        self._pending = 0
        self._waiting: OrderedDict[str, deque[_Work]] = OrderedDict()
        """By user, the one whose turn is next first."""
        self._long_pending: Counter[str] = Counter()
        self._long_running: Counter[str] = Counter()

    async def run(self, work: Callable[P, T], /, *args: P.args, **kwargs: P.kwargs) -> T:
        """Call `work` on a thread, in the context of the caller, and return its result.

        Raises:
            Overloaded: If the queue is full, or this work waited too long in it.
        """
        return await asyncio.wrap_future(self._enqueue(partial(work, *args, **kwargs), long=False))

    async def run_long(self, work: Callable[P, T], /, *args: P.args, **kwargs: P.kwargs) -> T:
        """Call `work` as `run` does; it may take long, so that one user cannot take all threads with it."""
        return await asyncio.wrap_future(self._enqueue(partial(work, *args, **kwargs), long=True))

    def _enqueue(self, work: Callable[[], T], *, long: bool) -> "Future[T]":
        context, user = contextvars.copy_context(), request_user.get()
        future: Future[T] = Future()
        one = _Work(partial(context.run, work), user, long, time.monotonic(), future)
        with self._lock:
            if self._pending >= self._max_pending:
                raise Overloaded(f"{self._pending} requests are in progress or waiting; retry later")
            if long and user and self._long_pending[user] >= LONG_WAITING:
                raise Overloaded(f"{LONG_WAITING} large photos of this user are in progress or waiting; retry later")
            self._pending += 1
            if long:
                self._long_pending[user] += 1
            self._waiting.setdefault(user, deque()).append(one)
        future.add_done_callback(partial(self._release, one))
        self._pool.submit(self._work)
        return future

    def _work(self) -> None:
        """Run what waits, until nothing is left that may run: a thread that ends long work starts the user's next."""
        while (one := self._next()) is not None:
            self._start(one)
            if one.long:
                with self._lock:
                    _decrease(self._long_running, one.user)

    def _next(self) -> _Work | None:
        """Return the next work of the first user whose turn it is and whose work may run."""
        with self._lock:
            for user, works in self._waiting.items():
                if works[0].long and self._long_running[user] >= self._long_at_once:
                    continue
                one = works.popleft()
                self._waiting.move_to_end(user)
                if not works:
                    del self._waiting[user]
                if one.long:
                    self._long_running[user] += 1
                return one
        return None

    def _start(self, one: _Work) -> None:
        if not one.future.set_running_or_notify_cancel():
            return
        waited = time.monotonic() - one.since
        if waited > self._max_wait_s:
            one.future.set_exception(Overloaded(f"no thread was free for {waited:.1f} s; retry later"))
            return
        try:
            result = one.call()
        except BaseException as error:  # noqa: BLE001 - the caller receives it
            one.future.set_exception(error)
        else:
            one.future.set_result(result)

    def _release(self, one: _Work, future: "Future[Any]") -> None:
        """Give the place back when the thread is free, which may be after a cancellation."""
        with self._lock:
            self._pending -= 1
            if one.long:
                _decrease(self._long_pending, one.user)
            works = self._waiting.get(one.user)
            if future.cancelled() and works is not None and one in works:
                works.remove(one)
                if not works:
                    del self._waiting[one.user]

    def close(self) -> None:
        """Cancel what waits and block until running work has ended."""
        with self._lock:
            waiting = [one for works in self._waiting.values() for one in works]
        for one in waiting:
            one.future.cancel()
        self._pool.shutdown(wait=True, cancel_futures=True)


def _decrease(counter: Counter[str], user: str) -> None:
    counter[user] -= 1
    if not counter[user]:
        del counter[user]
