"""Password hashing in few threads, with a bounded queue that clients share fairly.

argon2 needs 19 MiB and some 20 ms of a processor by design: a flood of logins must take neither all memory nor all
processors, and one client's flood must not delay the logins of others. Within a lane the newest is served first: under
a flood the oldest have waited so long that nobody waits for their results.
"""

import asyncio
import os
import threading
from collections import OrderedDict, deque
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from contextlib import suppress
from typing import TypeVar

from inference.http.problems import Overloaded

THREADS = 2
"""Hashes computed at once."""
MAX_QUEUED = 256
"""Hashes that wait; beyond it the oldest in the lane with the most is refused."""
NICENESS = 5
"""Priority of the threads below that of the event loop, which serves predictions."""
T = TypeVar("T")


class HashingPool:
    """Runs functions that hash passwords; lanes take turns. Belongs to one event loop."""

    def __init__(self, threads: int = THREADS, max_queued: int = MAX_QUEUED) -> None:
        self._executor = ThreadPoolExecutor(threads, "password-hashing", initializer=_lower_priority)
        self._free = threads
        self._max_queued = max_queued
        self._lanes: OrderedDict[str, deque[asyncio.Future[None]]] = OrderedDict()
        self._queued = 0

    async def run(self, lane: str, function: Callable[[], T]) -> T:
        """Run a function in a thread when it is the lane's turn.

        Raises:
            Overloaded: If the queue is full before its turn, this lane has the most in it, and this is the oldest.
        """
        if self._free:
            self._free -= 1
        else:
            await self._wait(lane)
        loop = asyncio.get_running_loop()
        work = self._executor.submit(function)
        work.add_done_callback(lambda _: _call_soon(loop, self._next))
        return await asyncio.wrap_future(work)

    async def _wait(self, lane: str) -> None:
        """Return when a thread is free for this lane."""
        turn: asyncio.Future[None] = asyncio.get_running_loop().create_future()
        self._lanes.setdefault(lane, deque()).append(turn)
        self._queued += 1
        if self._queued > self._max_queued:
            self._refuse_one()
        try:
            await turn
        except asyncio.CancelledError:
            if turn.done() and not turn.cancelled():
                self._next()
            raise

    def _refuse_one(self) -> None:
        """Refuse the oldest of the lane with the most."""
        longest = max(self._lanes, key=lambda lane: len(self._lanes[lane]))
        refused = self._lanes[longest].popleft()
        if not self._lanes[longest]:
            del self._lanes[longest]
        self._queued -= 1
        if not refused.done():
            refused.set_exception(Overloaded("too many passwords are waiting to be checked; try again"))

    def _next(self) -> None:
        """Give a free thread to the next lane."""
        while self._lanes:
            lane, turns = self._lanes.popitem(last=False)
            turn = turns.pop()
            self._queued -= 1
            if turns:
                self._lanes[lane] = turns
            if not turn.done():
                turn.set_result(None)
                return
        self._free += 1


def _lower_priority() -> None:
    with suppress(OSError, AttributeError):
        thread = threading.get_native_id()
        os.setpriority(os.PRIO_PROCESS, thread, os.getpriority(os.PRIO_PROCESS, thread) + NICENESS)


def _call_soon(loop: asyncio.AbstractEventLoop, callback: Callable[[], None]) -> None:
    with suppress(RuntimeError):  # the loop is closed
        loop.call_soon_threadsafe(callback)
