"""Limits of password guesses by name and address, by address, and by name over all addresses.

A guess is counted before it is checked and refunded if it was right, so that concurrent guesses cannot exceed a limit.

| wrong passwords | the next guess is |
|---|---|
| at this name from this address: `login_limit` | refused |
| from this address at all names: `login_address_limit` | delayed; refused if one of them was at this name |
| at this name from unfamiliar addresses together: `login_name_limit` | delayed; refused if one was from this address |

A password is checked in turn with those of other addresses, except that a familiar name has turns of its own: however
many names are guessed from an address, a password from a new one waits for at most one check per guessing address.

A name and an address are familiar to each other once a right password for the name came from the address: the last two
rows do not apply. A right password is therefore refused only if wrong ones came at the same name from the same address.
"""

import asyncio
import hashlib
import ipaddress
import random
import time
from collections import Counter, OrderedDict
from collections.abc import AsyncIterator, Iterator
from contextlib import asynccontextmanager, contextmanager
from dataclasses import dataclass

from limits import parse
from limits.strategies import MovingWindowRateLimiter

from inference.auth_proxy.rate_limits import Clock, WindowStorage, limit_exceeded
from inference.http.problems import Overloaded

DELAY_S = (1.5, 3.0)
"""Shortest and longest delay; random within, so that delayed guesses are not all checked at the same moment."""
DELAY_CHECK_S = 0.1
"""A delay ends early when the limit has room again, which is checked this often."""
MAX_WAITING = 2000
"""Delayed guesses from one address, and guesses that wait for others at the same name and address."""
LONGEST_WAIT_S = 4.0
"""Wait for the results of other guesses at the same name from the same address."""
MAX_FAMILIAR = 10_000
"""Pairs of name and address that are remembered; beyond it the one that was used longest ago is forgotten."""
IPV6_NETWORK = 64
"""Bits of an IPv6 address that identify a network; one host has all addresses below it."""


class GuessWindow:
    """Wrong guesses by key in a moving window, and guesses whose result is not known yet."""

    def __init__(self, limit: str, clock: Clock) -> None:
        self.limit = parse(limit)
        self._amount = int(self.limit.amount)
        self._clock = clock
        self.storage = WindowStorage(clock)
        self._limiter = MovingWindowRateLimiter(self.storage)
        self._in_flight: Counter[str] = Counter()

    def wrong(self, key: str) -> int:
        """Return the number of wrong guesses in the window."""
        return self._amount - int(self._limiter.get_window_stats(self.limit, key).remaining)

    def in_flight(self, key: str) -> int:
        """Return the number of guesses whose result is not known yet."""
        return self._in_flight[key]

    def is_exceeded(self, key: str) -> bool:
        """Return whether the wrong guesses alone use up the limit."""
        return self.wrong(key) >= self._amount

    def is_full(self, key: str) -> bool:
        """Return whether the limit is used up if every guess in flight is wrong."""
        return self.wrong(key) + self._in_flight[key] >= self._amount

    def reserve(self, key: str) -> None:
        """Count a guess whose result is not known yet."""
        self._in_flight[key] += 1

    def release(self, key: str) -> None:
        """Stop counting a reserved guess."""
        self._in_flight[key] -= 1
        if self._in_flight[key] <= 0:
            del self._in_flight[key]

    def add_wrong(self, key: str) -> None:
        """Count a wrong guess."""
        self._limiter.hit(self.limit, key)

    def wait_s(self, key: str) -> float:
        """Return the seconds until the oldest wrong guess leaves the window."""
        return float(self._limiter.get_window_stats(self.limit, key).reset_time - self._clock())


@dataclass(slots=True)
class Guess:
    """One password being checked."""

    lane: str
    """What it is checked in turn with: lanes take turns."""
    is_delayed: bool
    """Whether it waited for a random time, which hides whether a password was hashed."""
    right: bool | None = None
    """Set by the caller once it is known; None refunds the guess, as if it had not been sent."""


class LoginLimits:
    """Limits of password guesses in this process; belongs to one event loop."""

    def __init__(
        self,
        *,
        by_name_and_address: str,
        by_address: str,
        by_name: str,
        clock: Clock = time.monotonic,
        delay_s: tuple[float, float] = DELAY_S,
    ) -> None:
        """Take each limit as the limits library writes it, for example `5/minute`, and a monotonic clock."""
        self._pairs = GuessWindow(by_name_and_address, clock)
        self._addresses = GuessWindow(by_address, clock)
        self._names = GuessWindow(by_name, clock)
        self._delay_s = delay_s
        self._familiar: OrderedDict[str, None] = OrderedDict()
        self._settled: dict[str, asyncio.Event] = {}
        self._waiting: Counter[str] = Counter()

    @property
    def remembered(self) -> int:
        """Return the number of keys in memory."""
        windows = (self._pairs, self._addresses, self._names)
        return len(self._familiar) + len(self._settled) + sum(len(window.storage) for window in windows)

    @asynccontextmanager
    async def guess(self, name: str, address: str) -> AsyncIterator[Guess]:
        """Reserve a guess; the block checks the password and sets `right`.

        Raises:
            Problem: 429 if the guess is refused.
            Overloaded: If too many guesses wait.
        """
        network = login_network(address)
        name_key, pair = _key(name), _key(name, network)
        is_familiar = pair in self._familiar
        await self._reserve(pair)
        try:
            result = Guess(f"pair {pair}", is_delayed=False)
            if not is_familiar:
                result = await self._delay_if_crowded(pair, name_key, network)
            reserved = (
                [(self._addresses, network)] if is_familiar else [(self._addresses, network), (self._names, name_key)]
            )
            for window, key in reserved:
                window.reserve(key)
            try:
                yield result
            finally:
                for window, key in reserved:
                    window.release(key)
                    if result.right is False:
                        window.add_wrong(key)
            self._remember(pair, result)
        finally:
            self._pairs.release(pair)
            if (settled := self._settled.pop(pair, None)) is not None:
                settled.set()

    async def _reserve(self, pair: str) -> None:
        """Reserve a guess at a name from an address, after waiting for guesses in flight, which may be right."""
        try:
            async with asyncio.timeout(LONGEST_WAIT_S):
                while self._pairs.is_full(pair):
                    if self._pairs.is_exceeded(pair):
                        raise limit_exceeded(self._pairs.limit, self._pairs.wait_s(pair))
                    with self._waiting_in(pair):
                        await self._settled.setdefault(pair, asyncio.Event()).wait()
        except TimeoutError as error:
            raise limit_exceeded(self._pairs.limit, 1) from error
        self._pairs.reserve(pair)

    async def _delay_if_crowded(self, pair: str, name_key: str, network: str) -> Guess:
        """Return a guess at an unfamiliar name, after a delay if name or address exceed their limit."""
        window, key = (self._names, name_key) if self._names.is_full(name_key) else (self._addresses, network)
        lane = f"address {network}"
        if not window.is_full(key):
            return Guess(lane, is_delayed=False)
        if window.is_exceeded(key) and (self._pairs.wrong(pair) or self._pairs.in_flight(pair) > 1):
            raise limit_exceeded(window.limit, window.wait_s(key))
        loop = asyncio.get_running_loop()
        until = loop.time() + random.uniform(*self._delay_s)  # noqa: S311 - jitter, not security
        with self._waiting_in(lane):
            while window.is_full(key):
                if (rest_s := until - loop.time()) <= 0:
                    return Guess(lane, is_delayed=True)
                await asyncio.sleep(min(rest_s, DELAY_CHECK_S))
        return Guess(lane, is_delayed=False)

    def _remember(self, pair: str, result: Guess) -> None:
        if result.right is False:
            self._pairs.add_wrong(pair)
        elif result.right:
            self._familiar[pair] = None
            self._familiar.move_to_end(pair)
            if len(self._familiar) > MAX_FAMILIAR:
                self._familiar.popitem(last=False)

    @contextmanager
    def _waiting_in(self, lane: str) -> Iterator[None]:
        if self._waiting[lane] >= MAX_WAITING:
            raise Overloaded("too many passwords are waiting to be checked; try again")
        self._waiting[lane] += 1
        try:
            yield
        finally:
            self._waiting[lane] -= 1
            if not self._waiting[lane]:
                del self._waiting[lane]


def login_network(address: str) -> str:
    """Return the network that an address is limited by: itself, or the /64 of an IPv6 address."""
    try:
        parsed = ipaddress.ip_address(address.partition("%")[0])
    except ValueError:
        return address
    if isinstance(parsed, ipaddress.IPv4Address):
        return str(parsed)
    if parsed.ipv4_mapped is not None:
        return str(parsed.ipv4_mapped)
    return str(ipaddress.ip_network((parsed, IPV6_NETWORK), strict=False))


def _key(*parts: str) -> str:
    """Return a key of constant length: names are as long as the client makes them."""
    return hashlib.blake2b("\0".join(parts).encode(errors="surrogatepass"), digest_size=16).hexdigest()
