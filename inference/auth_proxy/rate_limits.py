"""How much one person may ask for, and how often one may guess a password."""

import math
import time

from limits import RateLimitItem, parse
from limits.storage import MemoryStorage
from limits.strategies import MovingWindowRateLimiter

from inference.http.problems import Problem

TIDY_EVERY_S = 1.0


class _Windows(MemoryStorage):
    """Forgets what is over in passing; its parent starts a thread to do that, up to a hundred times a second."""

    def __init__(self) -> None:
        self._tidied = time.monotonic()
        super().__init__()

    def _MemoryStorage__schedule_expiry(self) -> None:  # noqa: N802 - the parent's private name
        if time.monotonic() - self._tidied < TIDY_EVERY_S:
            return
        self._tidied = time.monotonic()
        self._MemoryStorage__expire_events()
        for key in [key for key, events in self.events.items() if not events]:
            del self.events[key]


class RateLimits:
    """Counters in this process; with several gateways each counts for itself."""

    def __init__(self, *, products: str, wrong_passwords: str, wrong_passwords_per_address: str) -> None:
        self._windows = MovingWindowRateLimiter(_Windows())
        self._products = parse(products)
        self._name = parse(wrong_passwords)
        self._address = parse(wrong_passwords_per_address)

    def spend(self, who: str, products: int = 1) -> None:
        """Count products asked for; 429 when there are too many."""
        if products > self._products.amount:
            raise Problem(429, f"{products} products at once are more than {self._products}", kind="rate-limit")
        if not self._windows.hit(self._products, "products", who, cost=products):
            raise self._refusal(self._products, "products", who)

    def allow_login(self, name: str, address: str) -> None:
        """Refuse further guesses, right or wrong, once there were too many wrong ones."""
        if not self._windows.test(self._name, "name", name, address):
            raise self._refusal(self._name, "name", name, address)
        if not self._windows.test(self._address, "address", address):
            raise self._refusal(self._address, "address", address)

    def count_wrong_password(self, name: str, address: str) -> None:
        """Remember a wrong guess."""
        self._windows.hit(self._name, "name", name, address)
        self._windows.hit(self._address, "address", address)

    def _refusal(self, limit: RateLimitItem, *who: str) -> Problem:
        reset = self._windows.get_window_stats(limit, *who).reset_time
        wait_s = max(1, math.ceil(reset - time.time()))
        return Problem(
            429,
            f"more than {limit}; try again in {wait_s} s",
            kind="rate-limit",
            headers={"Retry-After": str(wait_s)},
        )
