"""Guesses of passwords: how many are checked, and who else waits."""

import asyncio
import os
import re
import time
from collections import Counter
from collections.abc import Callable, Iterable
from dataclasses import dataclass
from functools import partial
from urllib.parse import urlencode

import pytest
from argon2 import PasswordHasher
from hypothesis import given, settings
from hypothesis import strategies as st

from inference.auth_proxy.auth.hashing_pool import HashingPool
from inference.auth_proxy.auth.login_limits import LoginLimits, login_network
from inference.auth_proxy.auth.roles import Role
from inference.auth_proxy.rate_limits import MAX_WINDOWS, RateLimits, WindowStorage
from inference.http.problems import Overloaded, Problem
from tests.inference.auth_proxy.conftest import PASSWORD, Gateway

IN_TIME_S = 5.0
"""A right password gets in within this time, unless wrong ones come at the same name from the same address."""
MANY = int(os.environ.get("GUESSED_NAMES", "2000"))
"""Names that are tried; 100,000 for the published figure."""

EXAMPLES = int(os.environ.get("HYPOTHESIS_EXAMPLES", "30"))


@dataclass(frozen=True)
class Client:
    """A client with an address of the loopback network that opens a connection per request."""

    port: int
    address: str

    async def log_in(self, name: str, password: str = PASSWORD, *, forwarded: str = "") -> "Reply":
        reader, writer = await asyncio.open_connection("127.0.0.1", self.port, local_addr=(self.address, 0))
        form = urlencode({"username": name, "password": password}).encode()
        head = b"POST /token HTTP/1.1\r\nHost: x\r\nConnection: close\r\nContent-Length: %d\r\n" % len(form)
        if forwarded:
            head += b"X-Forwarded-For: %b\r\n" % forwarded.encode()
        writer.write(head + b"Content-Type: application/x-www-form-urlencoded\r\n\r\n" + form)
        response = (await reader.read()).decode()
        writer.close()
        wait = re.search(r"(?i)\nretry-after: (\d+)", response)
        return Reply(int(response.split(" ", 2)[1]), int(wait[1]) if wait else None)

    async def guess(self, names: Iterable[str]) -> Counter[int]:
        replies = await asyncio.gather(*(self.log_in(name, f"wrong {n}") for n, name in enumerate(names)))
        return Counter(reply.status for reply in replies)


@dataclass(frozen=True)
class Reply:
    """Status and Retry-After of a response."""

    status: int
    retry_after: int | None


async def test_of_200_concurrent_guesses_at_one_name_5_are_checked(own_gateway: Gateway) -> None:
    attacker = Client(own_gateway.port, "127.0.0.2")
    told = await attacker.guess(["ursula"] * 200)
    later = await attacker.guess(["ursula"] * 20)

    assert told == {401: 5, 429: 195}
    assert later == {429: 20}


async def test_concurrent_right_passwords_of_one_name_all_get_in(own_gateway: Gateway) -> None:
    client = Client(own_gateway.port, "127.0.0.2")
    replies = await asyncio.gather(*(client.log_in("ursula") for _ in range(20)))
    again = await client.log_in("ursula")

    assert {reply.status for reply in [*replies, again]} == {200}


async def test_a_right_password_among_guesses_is_not_counted_as_one(own_gateway: Gateway) -> None:
    client = Client(own_gateway.port, "127.0.0.2")
    sent = [await client.log_in("ursula", "wrong" if n % 2 else PASSWORD) for n in range(8)]
    right = await client.log_in("ursula")
    wrong = await client.log_in("ursula", "wrong")
    refused = await client.log_in("ursula")

    assert [reply.status for reply in sent] == [200, 401] * 4
    assert (right.status, wrong.status, refused.status) == (200, 401, 429)
    assert 1 <= (refused.retry_after or 0) <= 60


FEW = pytest.mark.parametrize(
    "own_gateway",
    [
        {
            "login_address_limit": "10/minute",
            "login_name_limit": "10/minute",
            # 200 connections at once: on a busy machine a request takes longer than the second of other tests
            "header_timeout_s": 30.0,
            "body_timeout_s": 30.0,
        }
    ],
    indirect=True,
)
ATTACKS: dict[str, tuple[list[str], Callable[[int], str], int]] = {
    "one name": (["127.0.0.2"], lambda n: "ursula", 200),
    "many names": (["127.0.0.2"], lambda n: f"name{n}", 30),
    "one name from many addresses": ([f"127.0.1.{n}" for n in range(1, 16)], lambda n: "ursula", 30),
}
BYSTANDERS = {
    "one name": [("127.0.0.2", "ada"), ("127.0.0.3", "ursula"), ("127.0.0.9", "ursula"), ("127.0.0.9", "remy")],
    "many names": [("127.0.0.2", "ada"), ("127.0.0.3", "ursula"), ("127.0.0.9", "ursula")],
    "one name from many addresses": [("127.0.1.1", "ada"), ("127.0.0.3", "ursula"), ("127.0.0.9", "ursula")],
}
"""Address and name of right passwords sent during each attack; ursula logged in from 127.0.0.3 before."""


@FEW
@pytest.mark.parametrize("attack", ATTACKS)
async def test_a_right_password_gets_in_while_others_guess(own_gateway: Gateway, attack: str) -> None:
    addresses, name_of, count = ATTACKS[attack]
    known = Client(own_gateway.port, "127.0.0.3")
    began = time.monotonic()
    await known.log_in("ursula")
    allowed_s = IN_TIME_S + 20 * (time.monotonic() - began)  # a machine on which other tests run hashes slowly
    guesses = [
        asyncio.create_task(
            Client(own_gateway.port, address).guess([name_of(n) for n in range(i, count, len(addresses))])
        )
        for i, address in enumerate(addresses)
    ]
    await asyncio.sleep(0.2)
    told = {}
    for address, name in BYSTANDERS[attack]:
        client = Client(own_gateway.port, address)
        began = time.monotonic()
        told[address, name] = (await client.log_in(name)).status, time.monotonic() - began < allowed_s
    attackers = sum(await asyncio.gather(*guesses), Counter[int]())

    assert told == dict.fromkeys(BYSTANDERS[attack], (200, True))
    assert set(attackers) <= {401, 429, 503}


@FEW
async def test_over_the_limit_of_a_name_an_address_may_guess_once_and_waits_for_it(own_gateway: Gateway) -> None:
    """Without the limit over all addresses each could guess five times, at once."""
    addresses = [f"127.0.2.{n}" for n in range(1, 6)]
    first = [await Client(own_gateway.port, address).guess(["ursula"] * 5) for address in addresses[:2]]
    began = time.monotonic()
    later = await asyncio.gather(
        *(Client(own_gateway.port, address).guess(["ursula"] * 5) for address in addresses[2:])
    )
    waited_s = time.monotonic() - began

    assert first == [{401: 5}] * 2  # 10 wrong guesses: the limit
    assert list(later) == [{401: 1, 429: 4}] * 3
    assert waited_s > 1.0


@FEW
async def test_over_the_limit_of_an_address_a_name_may_be_guessed_once(own_gateway: Gateway) -> None:
    attacker = Client(own_gateway.port, "127.0.0.2")
    first = await attacker.guess([f"name{n}" for n in range(10)])
    again = await attacker.guess([f"name{n}" for n in range(10)])
    other = await attacker.log_in("ada")

    assert (first, again, other.status) == ({401: 10}, {429: 10}, 200)


@FEW
async def test_over_the_limit_of_an_address_made_up_names_are_not_hashed(own_gateway: Gateway) -> None:
    """A flood of them would keep the right passwords of others behind the address waiting."""
    attacker, hashed = Client(own_gateway.port, "127.0.0.2"), list[str]()
    await attacker.guess(f"name{n}" for n in range(10))
    hasher = own_gateway.issuer.users._hasher
    own_gateway.issuer.users._hasher = CountingHasher(hasher, hashed)  # type: ignore[assignment]
    unknown = await attacker.guess(f"other{n}" for n in range(60))
    known = await attacker.log_in("ada")

    assert (unknown, known.status, len(hashed)) == ({401: 60}, 200, 1)


@dataclass
class CountingHasher:
    """A password hasher that notes what it verified."""

    real: PasswordHasher
    verified: list[str]

    def verify(self, hashed: str, password: str) -> bool:
        self.verified.append(password)
        return self.real.verify(hashed, password)


def guesses(limits: LoginLimits, sent: Iterable[tuple[str, str, bool]]) -> list[bool]:
    """Send guesses one after the other; return which were checked."""

    async def send() -> list[bool]:
        checked = []
        for name, address, right in sent:
            try:
                async with limits.guess(name, address) as guess:
                    guess.right = right
            except Problem:
                checked.append(False)
            else:
                checked.append(True)
        return checked

    return asyncio.run(send())


def make_limits(clock: "Clock | None" = None, **changes: str) -> LoginLimits:
    options = {"by_name_and_address": "5/minute", "by_address": "30/minute", "by_name": "30/minute"} | changes
    return LoginLimits(**options, clock=clock or Clock(), delay_s=(0.0, 0.0))


class Clock:
    """Monotonic time that a test advances."""

    def __init__(self) -> None:
        self.now = 50.0

    def __call__(self) -> float:
        return self.now


@settings(max_examples=EXAMPLES)
@given(st.lists(st.tuples(st.sampled_from("ab"), st.sampled_from(["10.0.0.1", "10.0.0.2"]), st.booleans())))
def test_at_most_the_limit_of_wrong_guesses_is_checked_for_a_name_and_an_address(
    sent: list[tuple[str, str, bool]],
) -> None:
    checked = guesses(make_limits(), sent)
    wrong = Counter((name, address) for (name, address, right), done in zip(sent, checked, strict=True) if done > right)
    refused = [guess for guess, done in zip(sent, checked, strict=True) if not done]

    assert all(count <= 5 for count in wrong.values())
    assert all(wrong[name, address] == 5 for name, address, _ in refused)


@settings(max_examples=EXAMPLES)
@given(st.lists(st.floats(0, 61), max_size=40))
def test_a_guess_is_free_again_a_minute_after_the_wrong_one(pauses: list[float]) -> None:
    clock, times = Clock(), list[float]()
    limits = make_limits(clock)
    for pause in pauses:
        clock.now += pause
        if guesses(limits, [("ursula", "10.0.0.1", False)]) == [True]:
            times.append(clock.now)

    assert all(later - earlier >= 60 for earlier, later in zip(times, times[5:], strict=False))


@settings(max_examples=EXAMPLES)
@given(st.lists(st.tuples(st.floats(-7200, 7200), st.floats(0, 20)), max_size=30))
def test_no_limit_reads_the_wall_clock(steps: list[tuple[float, float]]) -> None:
    """The wall clock is set back and forth; only monotonic time passes."""
    clock, outcomes = Clock(), []
    for wall in (True, False):
        clock.now, offset = 50.0, 0.0
        limits, products = make_limits(clock), RateLimits(products="3/minute", clock=clock)
        outcome = list[bool]()
        with pytest.MonkeyPatch.context() as patch:
            patch.setattr(time, "time", lambda: clock.now + offset)  # noqa: B023 - called within this iteration
            for step, pause in steps:
                clock.now, offset = clock.now + pause, offset + step if wall else 0.0
                outcome += guesses(limits, [("ursula", "10.0.0.1", False)])
                try:
                    products.spend("ursula")
                except Problem:
                    outcome.append(False)
        outcomes.append(outcome)

    assert outcomes[0] == outcomes[1]


def test_memory_does_not_grow_with_the_names_that_are_tried() -> None:
    limits = make_limits(by_name_and_address="5/day", by_address="30/day", by_name="30/day")
    guesses(limits, (("n" * 5000 + str(n), f"2001:db8:{n % 65_536:x}::1", False) for n in range(MANY)))

    storage = WindowStorage(Clock(), max_windows=100)
    for n in range(1000):
        storage.acquire_entry(f"key{n}", 5, 60)

    assert len(storage) == 100
    assert limits.remembered <= 3 * min(MANY, MAX_WINDOWS)


def test_expired_windows_are_removed() -> None:
    clock = Clock()
    storage = WindowStorage(clock)
    for n in range(1000):
        storage.acquire_entry(f"key{n}", 5, 60)
        clock.now += 1

    assert len(storage) <= 62


@pytest.mark.parametrize(
    ("one", "other", "same"),
    [
        ("10.0.0.1", "10.0.0.2", False),
        ("::ffff:10.0.0.1", "10.0.0.1", True),
        ("2001:db8::1", "2001:db8::ffff:1", True),
        ("2001:db8::1", "2001:db8:0:1::1", False),
        ("fe80::1%eth0", "fe80::2%eth1", True),
        ("unknown", "unknown", True),
    ],
)
def test_an_ipv6_network_counts_as_one_address(one: str, other: str, same: bool) -> None:
    assert (login_network(one) == login_network(other)) is same


async def test_a_lane_with_a_flood_does_not_delay_another() -> None:
    pool, order = HashingPool(threads=1, max_queued=50), list[str]()

    def hash_password(lane: str) -> None:
        time.sleep(0.002)
        order.append(lane)

    async def one(lane: str) -> bool:
        try:
            await pool.run(lane, partial(hash_password, lane))
        except Overloaded:
            return False
        return True

    flood = [asyncio.create_task(one("flood")) for _ in range(200)]
    await asyncio.sleep(0)
    others = [await one(f"other{n}") for n in range(5)]
    passed = sum(await asyncio.gather(*flood))

    assert others == [True] * 5
    assert passed <= 1 + 50
    assert [order[order.index(f"other{n}") - 2 : order.index(f"other{n}")].count("flood") for n in range(5)] != [0] * 5
    assert max(order.index(f"other{n}") for n in range(5)) < 25


ADDRESSES = st.integers(min_value=2, max_value=9).map(lambda n: f"10.0.0.{n}")
FLOODS = st.lists(st.tuples(st.sampled_from(["ursula", "ada", "remy", "zoe"]), ADDRESSES), min_size=20, max_size=120)
FLOOD_TABLE = {
    "one name, one address": [("ursula", "10.0.0.2")] * 60,
    "one name, many addresses": [("ursula", f"10.0.1.{n % 250}") for n in range(100)],
    "many names, one address": [(f"name{n}", "10.0.0.2") for n in range(100)],
    "many names, few addresses": [(f"name{n}", f"10.0.0.{n % 4 + 2}") for n in range(100)],
}


async def checked_before(flood: list[tuple[str, str]], right: tuple[str, str]) -> tuple[int, int]:
    """Return how many passwords of a flood are checked before a right one, and how many addresses guess."""
    limits, pool, order = make_limits(by_address="5/minute", by_name="5/minute"), HashingPool(threads=1), list[str]()
    gate = asyncio.Event()

    async def log_in(name: str, address: str, *, is_right: bool) -> None:
        try:
            async with limits.guess(name, address) as guess:
                await pool.run(guess.lane, partial(order.append, "right" if is_right else "wrong"))
                guess.right = is_right
        except (Problem, Overloaded):
            order.append("refused" if not is_right else "right refused")

    async def occupied() -> None:
        loop = asyncio.get_running_loop()
        await pool.run("first", lambda: asyncio.run_coroutine_threadsafe(gate.wait(), loop).result() and None)

    blocker = asyncio.create_task(occupied())
    await asyncio.sleep(0)
    wrong = [asyncio.create_task(log_in(*one, is_right=False)) for one in flood]
    for _ in range(3):
        await asyncio.sleep(0)
    owner = asyncio.create_task(log_in(*right, is_right=True))
    for _ in range(3):
        await asyncio.sleep(0)
    gate.set()
    await owner
    before = order[: order.index("right")].count("wrong")
    await asyncio.gather(blocker, *wrong)
    return before, len({address for _, address in flood})


@pytest.mark.parametrize("flood", FLOOD_TABLE)
@pytest.mark.parametrize("name", ["ursula", "name7", "another"])
async def test_a_right_password_from_a_new_address_waits_for_one_check_per_guessing_address(
    flood: str, name: str
) -> None:
    before, addresses = await checked_before(FLOOD_TABLE[flood], (name, "192.0.2.1"))

    assert before <= addresses + 1


@settings(max_examples=EXAMPLES, deadline=None)
@given(FLOODS)
def test_no_flood_delays_a_right_password_from_a_new_address_by_more(flood: list[tuple[str, str]]) -> None:
    before, addresses = asyncio.run(checked_before(flood, ("ursula", "192.0.2.1")))

    assert before <= addresses + 1


async def test_at_most_two_passwords_are_hashed_at_once_and_a_canceled_one_frees_its_thread() -> None:
    pool, running, most = HashingPool(max_queued=300), 0, 0

    def hash_password() -> None:
        nonlocal running, most
        running += 1
        most = max(most, running)
        time.sleep(0.001)
        running -= 1

    tasks = [asyncio.create_task(pool.run(f"lane{n % 7}", hash_password)) for n in range(200)]
    await asyncio.sleep(0.01)
    for task in tasks[::3]:
        task.cancel()
    await asyncio.gather(*tasks, return_exceptions=True)
    await asyncio.gather(*(pool.run("after", hash_password) for _ in range(10)))

    assert most == 2


async def test_an_unknown_name_costs_as_many_hashes_as_a_known_one(own_gateway: Gateway) -> None:
    own_gateway.issuer.users.add("disabled", PASSWORD, Role.USER)
    own_gateway.issuer.users.change("disabled", disabled=True)
    hasher, client, counts = own_gateway.issuer.users._hasher, Client(own_gateway.port, "127.0.0.2"), {}
    for name in ("ursula", "nobody", "disabled"):
        hashed = list[str]()
        own_gateway.issuer.users._hasher = CountingHasher(hasher, hashed)  # type: ignore[assignment]
        status = (await client.log_in(name, "wrong")).status
        counts[name] = status, hashed

    assert counts == dict.fromkeys(("ursula", "nobody", "disabled"), (401, ["wrong"]))
