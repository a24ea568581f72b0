"""Limits of products per user, and the windows that limits count in."""

import math
import time
from collections import OrderedDict, deque
from collections.abc import Callable

from limits import RateLimitItem, parse
from limits.storage import MovingWindowSupport, Storage
from limits.strategies import MovingWindowRateLimiter

from inference.http.problems import Problem

MAX_WINDOWS = 20_000
"""Windows of one storage, 1 KB each; beyond it the one that was used longest ago is removed."""
REMOVED_PER_CALL = 2
"""Expired windows removed at each use: more than one, so that they cannot accumulate."""
Clock = Callable[[], float]


class WindowStorage(Storage, MovingWindowSupport):
    """Timestamps of moving windows in memory, for windows of one length.

    The library's `MemoryStorage` reads the wall clock, which may be set back, and starts a thread per clean-up, up to a
    hundred times a second; this one reads a monotonic clock and starts none. Not thread-safe: it belongs to one event
    loop. Memory is bounded, and the cost of each method is constant.
    """

    STORAGE_SCHEME = None
    base_exceptions = ()

    def __init__(self, clock: Clock = time.monotonic, max_windows: int = MAX_WINDOWS) -> None:
        """Take a monotonic clock and the number of windows to hold."""
        super().__init__()
        self._clock = clock
        self._max_windows = max_windows
        self._windows: OrderedDict[str, tuple[int, deque[float]]] = OrderedDict()

    def __len__(self) -> int:
        return len(self._windows)

    def acquire_entry(self, key: str, limit: int, expiry: int, amount: int = 1) -> bool:
        """Add `amount` entries to a window if they fit."""
        now = self._clock()
        self._remove_expired(now)
        _, entries = self._windows.setdefault(key, (expiry, deque()))
        self._windows.move_to_end(key)
        _drop_expired(entries, now - expiry)
        if len(entries) + amount > limit:
            return False
        entries.extend([now] * amount)
        if len(self._windows) > self._max_windows:
            self._windows.popitem(last=False)
        return True

    def get_moving_window(self, key: str, limit: int, expiry: int) -> tuple[float, int]:  # noqa: ARG002 - the interface
        """Return the time of the oldest entry, by the clock of this storage, and the number of entries."""
        now = self._clock()
        _, entries = self._windows.get(key, (expiry, deque()))
        _drop_expired(entries, now - expiry)
        return (entries[0] if entries else now, len(entries))

    def check(self) -> bool:
        """Return that the storage is available."""
        return True

    def reset(self) -> int:
        """Remove all windows and return their number."""
        count = len(self._windows)
        self._windows.clear()
        return count

    def clear(self, key: str) -> None:
        """Remove one window."""
        self._windows.pop(key, None)

    def incr(self, key: str, expiry: int, amount: int = 1) -> int:
        """Fixed windows are not supported."""
        raise NotImplementedError

    def get(self, key: str) -> int:
        """Fixed windows are not supported."""
        raise NotImplementedError

    def get_expiry(self, key: str) -> float:
        """Fixed windows are not supported."""
        raise NotImplementedError

    def _remove_expired(self, now: float) -> None:
        """Remove some expired windows from the end that was used longest ago."""
        for _ in range(REMOVED_PER_CALL):
            oldest = next(iter(self._windows), None)
            if oldest is None:
                return
            expiry, entries = self._windows[oldest]
            if entries and entries[-1] > now - expiry:
                return
            del self._windows[oldest]


class RateLimits:
    """Counts in this process; each of several gateways counts for itself."""

    def __init__(self, *, products: str, megapixels: str = "1000/second", clock: Clock = time.monotonic) -> None:
        """Take each limit as the limits library writes it, for example `200/second`, and a monotonic clock."""
        self._clock = clock
        self._limiter = MovingWindowRateLimiter(WindowStorage(clock))
        self._products = parse(products)
        self._megapixels = parse(megapixels)

    def spend_explanations(self, user: str, cost: int, counted: int = 1) -> None:
        """Count what explanations cost, in products; `counted` products of the request were counted before.

        A request never counts more than the limit, so that a small limit does not exclude explanations.

        Raises:
            Problem: 429 if they exceed the limit.
        """
        if (cost := min(cost, self._products.amount - counted)) > 0:
            self.spend(user, cost)

    def spend(self, user: str, products: int = 1) -> None:
        """Count products of a user; raise a 429 problem if they exceed the limit."""
        if products > self._products.amount:
            raise Problem(
                429, f"{products} products in one request exceed the limit of {self._products}", kind="rate-limit"
            )
        if not self._limiter.hit(self._products, "products", user, cost=products):
            reset = self._limiter.get_window_stats(self._products, "products", user).reset_time
            raise limit_exceeded(self._products, reset - self._clock())

    def spend_megapixels(self, user: str, megapixels: int) -> None:
        """Count megapixels of a user's photos; raise a 429 problem if they exceed the limit."""
        limit = self._megapixels
        if megapixels > limit.amount:
            raise Problem(
                429,
                f"photos of {megapixels} megapixels in one request exceed the limit of {limit}; send fewer",
                kind="rate-limit",
                headers={"Retry-After": str(limit.get_expiry())},
            )
        if megapixels and not self._limiter.hit(limit, "megapixels", user, cost=megapixels):
            reset = self._limiter.get_window_stats(limit, "megapixels", user).reset_time
            raise limit_exceeded(limit, reset - self._clock())


def limit_exceeded(limit: RateLimitItem, wait_s: float) -> Problem:
    """Return the 429 problem of a limit that has room again in `wait_s` seconds."""
    seconds = max(1, math.ceil(wait_s))
    return Problem(
        429,
        f"more than {limit}; try again in {seconds} s",
        kind="rate-limit",
        headers={"Retry-After": str(seconds)},
    )


def _drop_expired(entries: deque[float], oldest: float) -> None:
    while entries and entries[0] <= oldest:
        entries.popleft()
