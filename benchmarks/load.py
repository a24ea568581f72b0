"""Load on an HTTP server: as fast as it answers (closed loop), or as planned whether it answers or not (open loop).

In an open loop a latency counts from the moment the request was planned for, not from when it could be sent: a server
that stalls is charged for every request that should have been sent meanwhile (coordinated omission). A closed loop
tells the highest throughput and the CPU per request; its latencies are not quotable.
"""

import asyncio
import time
from collections import Counter
from collections.abc import Awaitable, Callable, Coroutine, Sequence
from dataclasses import dataclass
from functools import cached_property
from typing import Any, TypeVar, cast

import httptools
import numpy as np
import uvloop

from inference.simulation.replay import moments

LINES = 512
"""Connections of an open loop at most; a request that finds none waits, and its latency counts."""
GIVEN_UP_S = 20.0
NO_ANSWER = 0

T = TypeVar("T")


@dataclass(frozen=True)
class Answer:
    """What came back for one request; status 0: nothing did."""

    status: int
    body: bytes = b""
    headers: tuple[tuple[bytes, bytes], ...] = ()


@dataclass(frozen=True)
class Load:
    """What one run of load found; `took_s` has one latency per request, in the order of `statuses`."""

    seconds: float
    took_s: tuple[float, ...]
    statuses: tuple[int, ...]
    generator_cpu_s: float
    offered: float | None = None
    """Requests per second as planned; None in a closed loop."""

    @cached_property
    def answered(self) -> int:
        """How many requests were answered 2xx."""
        return sum(200 <= status < 300 for status in self.statuses)

    @property
    def rate(self) -> float:
        """Good answers per second."""
        return self.answered / self.seconds

    def percentile_ms(self, percent: float, *, refused: bool = False) -> float:
        """Return a latency of the good answers, or of the others, in milliseconds; infinite where there is none."""
        chosen = [
            took
            for took, status in zip(self.took_s, self.statuses, strict=True)
            if (200 <= status < 300) is not refused
        ]
        return float(np.percentile(chosen, percent)) * 1000 if chosen else float("inf")

    def counted(self) -> dict[str, int]:
        """Return how many requests ended with which status."""
        return {str(status): count for status, count in sorted(Counter(self.statuses).items())}

    def summary(self) -> dict[str, object]:
        """Return the run as plain values for the results file."""
        return {
            "seconds": round(self.seconds, 3),
            "offered_per_s": self.offered,
            "answered_per_s": round(self.rate, 2),
            "statuses": self.counted(),
            "generator_cpu_share": round(self.generator_cpu_s / self.seconds, 3),
            **{f"p{percent:g}_ms": round(self.percentile_ms(percent), 3) for percent in (50, 90, 99, 99.9)},
        }


class Line(asyncio.Protocol):
    """One kept connection, one request at a time."""

    def __init__(self) -> None:
        self._transport: asyncio.Transport | None = None
        self._waiting: asyncio.Future[Answer] | None = None
        self._parser = httptools.HttpResponseParser(self)
        self._body: list[bytes] = []
        self._headers: list[tuple[bytes, bytes]] = []

    @property
    def usable(self) -> bool:
        """Whether another request can be sent on it."""
        return self._transport is not None and not self._transport.is_closing()

    def ask(self, request: bytes) -> "asyncio.Future[Answer]":
        """Send a request; the future never fails."""
        self._waiting = asyncio.get_running_loop().create_future()
        if self._transport is None or self._transport.is_closing():
            self._waiting.set_result(Answer(NO_ANSWER))
        else:
            self._transport.write(request)
        return self._waiting

    def close(self) -> None:
        """Hang up."""
        if self._transport is not None:
            self._transport.close()

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        self._transport = cast("asyncio.Transport", transport)  # what TCP gives; uvloop's knows no such parent

    def connection_lost(self, exc: Exception | None) -> None:  # noqa: ARG002 - why does not matter to the count
        self._transport = None
        self._finish(Answer(NO_ANSWER))

    def data_received(self, data: bytes) -> None:
        try:
            self._parser.feed_data(data)
        except httptools.HttpParserError:
            self.close()

    def on_header(self, name: bytes, value: bytes) -> None:
        self._headers.append((name.lower(), value))

    def on_body(self, body: bytes) -> None:
        self._body.append(body)

    def on_message_complete(self) -> None:
        kept = self._parser.should_keep_alive()
        answer = Answer(self._parser.get_status_code(), b"".join(self._body), tuple(self._headers))
        self._body, self._headers, self._parser = [], [], httptools.HttpResponseParser(self)
        if not kept:
            self.close()
        self._finish(answer)

    def _finish(self, answer: Answer) -> None:
        if self._waiting is not None and not self._waiting.done():
            self._waiting.set_result(answer)


class Lines:
    """Connections to one server, taken and given back."""

    def __init__(self, host: str, port: int, most: int = LINES) -> None:
        self._host, self._port = host, port
        self._idle: list[Line] = []
        self._free = asyncio.Semaphore(most)

    async def ask(self, request: bytes) -> Answer:
        """Send a request on a connection nobody uses."""
        async with self._free:
            line = self._idle.pop() if self._idle else None
            try:
                if line is None or not line.usable:
                    _, line = await asyncio.get_running_loop().create_connection(Line, self._host, self._port)
                answer = await asyncio.wait_for(line.ask(request), GIVEN_UP_S)
            except (OSError, TimeoutError):
                if line is not None:
                    line.close()
                return Answer(NO_ANSWER)
            if line.usable:
                self._idle.append(line)
            return answer

    def close(self) -> None:
        """Hang up everywhere."""
        for line in self._idle:
            line.close()


Ask = Callable[[int], Awaitable[int]]
"""Send the request of this number and return the status of its answer."""


def closed(port: int, requests: Sequence[bytes], at_once: int, seconds: float) -> Load:
    """Keep `at_once` requests on their way for some seconds."""
    return _run(port, requests, lambda ask: closed_loop(ask, at_once, seconds))


def planned(port: int, requests: Sequence[bytes], moments: Sequence[float]) -> Load:
    """Send requests at planned moments, counted from the start in seconds."""
    return _run(port, requests, lambda ask: open_loop(ask, moments))


def poisson(rate: float, seconds: float, seed: int) -> Sequence[float]:
    """Return when requests that know nothing of each other arrive; the simulation's own schedule."""
    return moments(rate, round(rate * seconds), seed)


def answers(port: int, requests: Sequence[bytes]) -> list[Answer]:
    """Send each request once, one after the other."""

    async def each() -> list[Answer]:
        lines = Lines("127.0.0.1", port)
        try:
            return [await lines.ask(request) for request in requests]
        finally:
            lines.close()

    return _on_uvloop(each)


async def closed_loop(ask: Ask, at_once: int, seconds: float) -> Load:
    """Run a closed loop against anything that can be asked."""
    took: list[float] = []
    statuses: list[int] = []
    cpu, start = time.process_time(), time.perf_counter()
    end = start + seconds
    numbers = iter(range(10**12))

    async def keep_asking() -> None:
        while (began := time.perf_counter()) < end:
            status = await ask(next(numbers))
            statuses.append(status)
            took.append(time.perf_counter() - began)

    await asyncio.gather(*(keep_asking() for _ in range(at_once)))
    return Load(time.perf_counter() - start, tuple(took), tuple(statuses), time.process_time() - cpu)


async def open_loop(ask: Ask, moments: Sequence[float]) -> Load:
    """Run an open loop against anything that can be asked."""
    took = [0.0] * len(moments)
    statuses = [NO_ANSWER] * len(moments)
    cpu, start = time.process_time(), time.perf_counter()

    async def send(number: int) -> None:
        statuses[number] = await ask(number)
        took[number] = time.perf_counter() - start - moments[number]

    tasks = []
    for number, moment in enumerate(moments):
        if (early := start + moment - time.perf_counter()) > 0:
            await asyncio.sleep(early)
        tasks.append(asyncio.create_task(send(number)))
    await asyncio.gather(*tasks)
    seconds = time.perf_counter() - start
    offered = len(moments) / max(moments[-1], 1e-9) if moments else 0.0
    return Load(seconds, tuple(took), tuple(statuses), time.process_time() - cpu, offered)


def _run(port: int, requests: Sequence[bytes], loop: Callable[[Ask], Coroutine[Any, Any, Load]]) -> Load:
    async def against_server() -> Load:
        lines = Lines("127.0.0.1", port)

        async def ask(number: int) -> int:
            return (await lines.ask(requests[number % len(requests)])).status

        try:
            return await loop(ask)
        finally:
            lines.close()

    return _on_uvloop(against_server)


def _on_uvloop(work: Callable[[], Coroutine[Any, Any, T]]) -> T:
    with asyncio.Runner(loop_factory=uvloop.new_event_loop) as runner:
        return runner.run(work())
