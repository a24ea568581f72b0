"""Threads for work that would block the event loop, shared fairly between users."""

import asyncio
import contextvars
import threading
import time
from collections import Counter, OrderedDict, deque
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from contextlib import suppress
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
    result: "asyncio.Future[Any]"
    is_started: bool = False


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
        self.queue_s = self.compute_s = 0.0
        """Seconds that work waited for a thread, and ran, added up."""
        self.started = self.completed = 0
        """Pieces of work that a thread took, and that ended."""

    @property
    def waiting_count(self) -> int:
        """Number of pieces of work that wait for a thread."""
        return sum(map(len, tuple(self._waiting.values())))

    async def run(self, work: Callable[P, T], /, *args: P.args, **kwargs: P.kwargs) -> T:
        """Call `work` on a thread, in the context of the caller, and return its result.

        Raises:
            Overloaded: If the queue is full, or this work waited too long in it.
        """
        return await self._run(partial(work, *args, **kwargs), long=False)

    async def run_long(self, work: Callable[P, T], /, *args: P.args, **kwargs: P.kwargs) -> T:
        """Call `work` as `run` does; it may take long, so that one user cannot take all threads with it."""
        return await self._run(partial(work, *args, **kwargs), long=True)

    async def _run(self, work: Callable[[], T], *, long: bool) -> T:
        context, user = contextvars.copy_context(), request_user.get()
        result: asyncio.Future[T] = asyncio.get_running_loop().create_future()
        one = _Work(partial(context.run, work), user, long, time.monotonic(), result)
        with self._lock:
            if self._pending >= self._max_pending:
                raise Overloaded(f"{self._pending} requests are in progress or waiting; retry later")
            if long and user and self._long_pending[user] >= LONG_WAITING:
                raise Overloaded(
                    f"{LONG_WAITING} pieces of long work of this user are in progress or waiting; retry later"
                )
            self._pending += 1
            if long:
                self._long_pending[user] += 1
            self._waiting.setdefault(user, deque()).append(one)
        self._pool.submit(self._work)
        try:
            return await result
        except asyncio.CancelledError:
            self._cancel(one)
            raise
        finally:
            del one, result  # they hold the exception, whose traceback has this frame

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
                one.is_started = True
                self._waiting.move_to_end(user)
                if not works:
                    del self._waiting[user]
                if one.long:
                    self._long_running[user] += 1
                return one
        return None

    def _start(self, one: _Work) -> None:
        result: Any = None
        error: BaseException | None = None
        waited = time.monotonic() - one.since
        if waited > self._max_wait_s:
            error = Overloaded(f"no thread was free for {waited:.1f} s; retry later")
        else:
            try:
                result = one.call()
            except BaseException as raised:  # noqa: BLE001 - the caller receives it
                error = raised
        with self._lock:
            self._release(one)
            self.queue_s += waited
            self.started += 1
            if error is None:
                self.compute_s += time.monotonic() - one.since - waited
                self.completed += 1
        with suppress(RuntimeError):  # the event loop is closed: nothing waits for the result
            one.result.get_loop().call_soon_threadsafe(_settle, one.result, result, error)
        del error, one  # the traceback has this frame: a cycle would hold the request until the collector runs

    def _cancel(self, one: _Work) -> None:
        """Give the place back at once, or leave it to the thread that has started the work."""
        with self._lock:
            if one.is_started:
                return
            works = self._waiting[one.user]
            works.remove(one)
            if not works:
                del self._waiting[one.user]
            self._release(one)

    def _release(self, one: _Work) -> None:
        self._pending -= 1
        if one.long:
            _decrease(self._long_pending, one.user)

    def close(self) -> None:
        """Cancel what waits and block until running work has ended."""
        with self._lock:
            waiting = [one for works in self._waiting.values() for one in works]
        for one in waiting:
            with suppress(RuntimeError):
                one.result.get_loop().call_soon_threadsafe(one.result.cancel)
        self._pool.shutdown(wait=True, cancel_futures=True)


def _decrease(counter: Counter[str], user: str) -> None:
    counter[user] -= 1
    if not counter[user]:
        del counter[user]


def _settle(result: "asyncio.Future[Any]", value: Any, error: BaseException | None) -> None:
    """Pass on the outcome of work, on the event loop; the caller may have been canceled."""
    if result.done():
        return
    if error is None:
        result.set_result(value)
    else:
        result.set_exception(error)
