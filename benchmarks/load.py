"""HTTP load generator: closed loop (fixed concurrency) and open loop (fixed arrival times).

Open-loop latencies count from the scheduled arrival, which corrects for coordinated omission: a stall is charged to
every request scheduled during it. Use the closed loop for maximum throughput and CPU per request only.
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

from inference.simulation.open_loop import poisson_arrivals

MAX_CONNECTIONS = 512
"""Connection limit of an open loop; the latency of a request includes its wait for a connection."""
REQUEST_TIMEOUT_S = 20.0
NO_RESPONSE = 0

T = TypeVar("T")


@dataclass(frozen=True)
class LoadResponse:
    """One HTTP response; status 0 means that none arrived."""

    status: int
    body: bytes = b""
    headers: tuple[tuple[bytes, bytes], ...] = ()


@dataclass(frozen=True)
class Load:
    """Result of one load run; `latencies_s` and `statuses` have one entry per request, in the same order."""

    seconds: float
    latencies_s: tuple[float, ...]
    statuses: tuple[int, ...]
    generator_cpu_s: float
    offered: float | None = None
    """Offered rate in requests per second; None in a closed loop."""

    @cached_property
    def answered(self) -> int:
        """Number of 2xx responses."""
        return sum(200 <= status < 300 for status in self.statuses)

    @property
    def rate(self) -> float:
        """2xx responses per second."""
        return self.answered / self.seconds

    def percentile_ms(self, percent: float, *, refused: bool = False) -> float:
        """Return a latency percentile in ms of the 2xx (or refused) responses; infinity without any."""
        chosen = [
            latency
            for latency, status in zip(self.latencies_s, self.statuses, strict=True)
            if (200 <= status < 300) is not refused
        ]
        return float(np.percentile(chosen, percent)) * 1000 if chosen else float("inf")

    def status_counts(self) -> dict[str, int]:
        """Return the number of requests per status."""
        return {str(status): count for status, count in sorted(Counter(self.statuses).items())}

    def summary(self) -> dict[str, object]:
        """Return the run as JSON values for the results file."""
        return {
            "seconds": round(self.seconds, 3),
            "offered_per_s": self.offered,
            "answered_per_s": round(self.rate, 2),
            "statuses": self.status_counts(),
            "generator_cpu_share": round(self.generator_cpu_s / self.seconds, 3),
            **{f"p{percent:g}_ms": round(self.percentile_ms(percent), 3) for percent in (50, 90, 99, 99.9)},
        }


class LoadConnection(asyncio.Protocol):
    """One keep-alive connection, one request at a time."""

    def __init__(self) -> None:
        self._transport: asyncio.Transport | None = None
        self._waiting: asyncio.Future[LoadResponse] | None = None
        self._parser = httptools.HttpResponseParser(self)
        self._body: list[bytes] = []
        self._headers: list[tuple[bytes, bytes]] = []

    @property
    def is_open(self) -> bool:
        """Whether another request can be sent."""
        return self._transport is not None and not self._transport.is_closing()

    def send(self, request: bytes) -> "asyncio.Future[LoadResponse]":
        """Send a request; the returned future never raises."""
        self._waiting = asyncio.get_running_loop().create_future()
        if self._transport is None or self._transport.is_closing():
            self._waiting.set_result(LoadResponse(NO_RESPONSE))
        else:
            self._transport.write(request)
        return self._waiting

    def close(self) -> None:
        """Close the connection."""
        if self._transport is not None:
            self._transport.close()

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        self._transport = cast("asyncio.Transport", transport)  # uvloop's transport does not subclass asyncio.Transport

    def connection_lost(self, exc: Exception | None) -> None:  # noqa: ARG002 - the reason is not counted
        self._transport = None
        self._finish(LoadResponse(NO_RESPONSE))

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
        response = LoadResponse(self._parser.get_status_code(), b"".join(self._body), tuple(self._headers))
        self._body, self._headers, self._parser = [], [], httptools.HttpResponseParser(self)
        if not kept:
            self.close()
        self._finish(response)

    def _finish(self, response: LoadResponse) -> None:
        if self._waiting is not None and not self._waiting.done():
            self._waiting.set_result(response)


class ConnectionPool:
    """A pool of connections to one server."""

    def __init__(self, host: str, port: int, most: int = MAX_CONNECTIONS) -> None:
        self._host, self._port = host, port
        self._idle: list[LoadConnection] = []
        self._free = asyncio.Semaphore(most)

    async def send(self, request: bytes) -> LoadResponse:
        """Send a request on an idle connection."""
        async with self._free:
            connection = self._idle.pop() if self._idle else None
            try:
                if connection is None or not connection.is_open:
                    _, connection = await asyncio.get_running_loop().create_connection(
                        LoadConnection, self._host, self._port
                    )
                response = await asyncio.wait_for(connection.send(request), REQUEST_TIMEOUT_S)
            except (OSError, TimeoutError):
                if connection is not None:
                    connection.close()
                return LoadResponse(NO_RESPONSE)
            if connection.is_open:
                self._idle.append(connection)
            return response

    def close(self) -> None:
        """Close all connections."""
        for connection in self._idle:
            connection.close()


SendRequest = Callable[[int], Awaitable[int]]
"""Send the request with this number and return the response status."""


def http_closed_loop(port: int, requests: Sequence[bytes], concurrency: int, seconds: float) -> Load:
    """Keep `concurrency` requests in flight for some seconds."""
    return _run(port, requests, lambda send: closed_loop(send, concurrency, seconds))


def http_open_loop(port: int, requests: Sequence[bytes], arrivals: Sequence[float]) -> Load:
    """Send requests at the given times, in seconds from the start."""
    return _run(port, requests, lambda send: open_loop(send, arrivals))


def poisson(rate: float, seconds: float, seed: int) -> Sequence[float]:
    """Return arrival times in seconds of a Poisson process, as the simulation uses."""
    return poisson_arrivals(rate, round(rate * seconds), seed)


def send_each(port: int, requests: Sequence[bytes]) -> list[LoadResponse]:
    """Send each request once, sequentially."""

    async def each() -> list[LoadResponse]:
        pool = ConnectionPool("127.0.0.1", port)
        try:
            return [await pool.send(request) for request in requests]
        finally:
            pool.close()

    return _on_uvloop(each)


async def closed_loop(send: SendRequest, concurrency: int, seconds: float) -> Load:
    """Run a closed loop over any `send`."""
    latencies: list[float] = []
    statuses: list[int] = []
    cpu, start = time.process_time(), time.perf_counter()
    end = start + seconds
    numbers = iter(range(10**12))

    async def send_until_end() -> None:
        while (began := time.perf_counter()) < end:
            status = await send(next(numbers))
            statuses.append(status)
            latencies.append(time.perf_counter() - began)

    await asyncio.gather(*(send_until_end() for _ in range(concurrency)))
    return Load(time.perf_counter() - start, tuple(latencies), tuple(statuses), time.process_time() - cpu)


async def open_loop(send: SendRequest, arrivals: Sequence[float]) -> Load:
    """Run an open loop over any `send`."""
    latencies = [0.0] * len(arrivals)
    statuses = [NO_RESPONSE] * len(arrivals)
    cpu, start = time.process_time(), time.perf_counter()

    async def record(number: int) -> None:
        statuses[number] = await send(number)
        latencies[number] = time.perf_counter() - start - arrivals[number]

    tasks = []
    for number, arrival in enumerate(arrivals):
        if (early := start + arrival - time.perf_counter()) > 0:
            await asyncio.sleep(early)
        tasks.append(asyncio.create_task(record(number)))
    await asyncio.gather(*tasks)
    seconds = time.perf_counter() - start
    offered = len(arrivals) / max(arrivals[-1], 1e-9) if arrivals else 0.0
    return Load(seconds, tuple(latencies), tuple(statuses), time.process_time() - cpu, offered)


def _run(port: int, requests: Sequence[bytes], loop: Callable[[SendRequest], Coroutine[Any, Any, Load]]) -> Load:
    async def against_server() -> Load:
        pool = ConnectionPool("127.0.0.1", port)

        async def send(number: int) -> int:
            return (await pool.send(requests[number % len(requests)])).status

        try:
            return await loop(send)
        finally:
            pool.close()

    return _on_uvloop(against_server)


def _on_uvloop(work: Callable[[], Coroutine[Any, Any, T]]) -> T:
    with asyncio.Runner(loop_factory=uvloop.new_event_loop) as runner:
        return runner.run(work())
