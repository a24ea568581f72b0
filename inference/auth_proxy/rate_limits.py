"""Limits of products per user and of password attempts."""

import math
import time
from collections import deque

from limits import RateLimitItem, parse
from limits.storage import MovingWindowSupport, Storage
from limits.strategies import MovingWindowRateLimiter

from inference.http.problems import Problem

CLEANUP_INTERVAL_S = 1.0


class WindowStorage(Storage, MovingWindowSupport):
    """Timestamps of moving windows in memory.

    The library's `MemoryStorage` starts a thread per clean-up, up to a hundred times a second; this one starts none.
    Not thread-safe: it belongs to one event loop. Expired windows are removed at most every `CLEANUP_INTERVAL_S`.
    """

    STORAGE_SCHEME = None
    base_exceptions = ()

    def __init__(self) -> None:
        super().__init__()
        self._windows: dict[str, tuple[int, deque[float]]] = {}
        self._cleaned = time.monotonic()

    def acquire_entry(self, key: str, limit: int, expiry: int, amount: int = 1) -> bool:
        """Add `amount` entries to a window if they fit."""
        now = time.time()
        self._clean_up(now)
        _, entries = self._windows.setdefault(key, (expiry, deque()))
        _drop_expired(entries, now - expiry)
        if len(entries) + amount > limit:
            return False
        entries.extend([now] * amount)
        return True

    def get_moving_window(self, key: str, limit: int, expiry: int) -> tuple[float, int]:  # noqa: ARG002 - the interface
        """Return the time of the oldest entry in the window, and the number of entries."""
        now = time.time()
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

    def _clean_up(self, now: float) -> None:
        if time.monotonic() - self._cleaned < CLEANUP_INTERVAL_S:
            return
        self._cleaned = time.monotonic()
        self._windows = {
            key: (expiry, entries)
            for key, (expiry, entries) in self._windows.items()
            if entries and entries[-1] > now - expiry
        }


class RateLimits:
    """Counts in this process; each of several gateways counts for itself."""

    def __init__(self, *, products: str, wrong_passwords: str, wrong_passwords_per_address: str) -> None:
        """Take each limit as the limits library writes it, for example `200/second`."""
        self._limiter = MovingWindowRateLimiter(WindowStorage())
        self._products = parse(products)
        self._name = parse(wrong_passwords)
        self._address = parse(wrong_passwords_per_address)

    def spend(self, user: str, products: int = 1) -> None:
        """Count products of a user; raise a 429 problem if they exceed the limit."""
        if products > self._products.amount:
            raise Problem(
                429, f"{products} products in one request exceed the limit of {self._products}", kind="rate-limit"
            )
        if not self._limiter.hit(self._products, "products", user, cost=products):
            raise self._problem(self._products, "products", user)

    def check_login(self, name: str, address: str) -> None:
        """Raise a 429 problem after too many wrong passwords, whether this one is right or not."""
        if not self._limiter.test(self._name, "name", name, address):
            raise self._problem(self._name, "name", name, address)
        if not self._limiter.test(self._address, "address", address):
            raise self._problem(self._address, "address", address)

    def count_wrong_password(self, name: str, address: str) -> None:
        """Count a wrong password against the name and the address."""
        self._limiter.hit(self._name, "name", name, address)
        self._limiter.hit(self._address, "address", address)

    def _problem(self, limit: RateLimitItem, *identifiers: str) -> Problem:
        reset = self._limiter.get_window_stats(limit, *identifiers).reset_time
        wait_s = max(1, math.ceil(reset - time.time()))
        return Problem(
            429,
            f"more than {limit}; try again in {wait_s} s",
            kind="rate-limit",
            headers={"Retry-After": str(wait_s)},
        )


def _drop_expired(entries: deque[float], oldest: float) -> None:
    while entries and entries[0] <= oldest:
        entries.popleft()
