"""CPU per request between two of our services, by HTTP client and transport."""

import asyncio
import sys
from collections.abc import AsyncIterator, Awaitable, Callable, Mapping
from contextlib import AbstractAsyncContextManager, asynccontextmanager
from dataclasses import dataclass
from functools import partial
from pathlib import Path

import aiohttp
import grpc.aio  # type: ignore[import-untyped]
import httpx
import uvloop

from benchmarks import materials
from benchmarks.compare import alternate, median_and_range, median_of
from benchmarks.load import Load, closed_loop
from benchmarks.machine import SERVER
from benchmarks.outcome import Outcome
from benchmarks.processes import Server, start, stopping
from benchmarks.rows.p01_predictor_request import grpc_request
from benchmarks.stack import free_ports
from inference.http.http_client import Connection, HttpClient
from inference.oip.client import encode_request

MODEL = "text-predictor"
TARGET = f"/v2/models/{MODEL}/infer"
CONCURRENCY = 8
SECONDS = 2.0
OURS = "ours over TCP"

Send = Callable[[], Awaitable[object]]
Connect = Callable[[], AbstractAsyncContextManager[Send]]


@dataclass(frozen=True)
class Cost:
    """CPU per request in milliseconds."""

    client_ms: float
    server_ms: float
    load: Load

    @property
    def both_ms(self) -> float:
        """CPU of client and server together."""
        return self.client_ms + self.server_ms


def measure(folder: Path) -> Outcome:
    """Send requests to a no-op predictor and to a minimal server with every client considered."""
    port, path = free_ports(), str(folder / "stub.sock")
    title = materials.products(1)[0].title
    body, headers = encode_request({"designation": [title], "description": [""]})
    noop = [sys.executable, "-m", "benchmarks.noop", "--model_dir", str(materials.release() / "text")]
    stub = [sys.executable, "-m", "benchmarks.fusion_stub"]
    options = ["--host", "127.0.0.1", "--http_port", str(port), "--grpc_port", str(port + 1)]
    servers = [
        start("noop", [*noop, *options], port, folder, SERVER),
        start("stub", [*stub, str(port + 2)], port + 2, folder, SERVER),
        start("stub-unix", [*stub, str(port + 3), path], port + 3, folder, SERVER),
    ]
    with stopping(servers):
        for server in servers:
            server.wait("/v2/health/ready")
        predictor, tcp, unix = servers
        variants: Mapping[str, tuple[Server, Connect]] = {
            OURS: (predictor, partial(_own_client, HttpClient(predictor.url, CONCURRENCY, 30), headers, body)),
            "aiohttp over TCP": (predictor, partial(_aiohttp, predictor.url, headers, body)),
            "httpx over TCP": (predictor, partial(_httpx, predictor.url, headers, body)),
            "gRPC": (predictor, partial(_grpc, port + 1, grpc_request(MODEL, title))),
            "ours over TCP, minimal server": (
                tcp,
                partial(_own_client, HttpClient(tcp.url, CONCURRENCY, 30), headers, body),
            ),
            "ours over a unix socket, minimal server": (
                unix,
                partial(_own_client, _UnixClient(path, CONCURRENCY), headers, body),
            ),
        }
        found = alternate({name: partial(_cost, *variant) for name, variant in variants.items()})
    cost = {name: median_of([one.both_ms for one in rounds]) for name, rounds in found.items()}
    others = [name for name, (server, _) in variants.items() if server is predictor and name != OURS]
    best = min(others, key=cost.__getitem__)
    return Outcome(
        ours=f"{cost[OURS]:.3f} ms CPU of both sides",
        peer="; ".join(f"{name}: {cost[name]:.3f} ms" for name in others),
        ratio=cost[best] / cost[OURS],
        checks=[],
        details=[
            {
                "what": name,
                "CPU ms, client": median_and_range([one.client_ms for one in rounds]),
                "CPU ms, server": median_and_range([one.server_ms for one in rounds]),
                "requests per second": median_and_range([one.load.rate for one in rounds]),
            }
            for name, rounds in found.items()
        ],
        note=f"A request of the fusion to a no-op predictor, {CONCURRENCY} at once.",
    )


def _cost(server: Server, connect: Connect) -> Cost:
    async def run() -> tuple[Load, float]:
        async with connect() as send:

            async def counted(_: int) -> int:
                await send()
                return 200

            await closed_loop(counted, CONCURRENCY, SECONDS / 4)
            before = server.cpu_s()
            load = await closed_loop(counted, CONCURRENCY, SECONDS)
            return load, server.cpu_s() - before

    with asyncio.Runner(loop_factory=uvloop.new_event_loop) as runner:
        load, server_s = runner.run(run())
    per_request = 1000 / max(load.answered, 1)
    return Cost(load.generator_cpu_s * per_request, server_s * per_request, load)


@asynccontextmanager
async def _own_client(client: HttpClient, headers: Mapping[str, str], body: bytes) -> AsyncIterator[Send]:
    async def send() -> None:
        reply = await client.request("POST", TARGET, headers, body)
        assert reply.status == 200  # noqa: S101 - refusals have another cost

    yield send
    client.close()


@asynccontextmanager
async def _aiohttp(url: str, headers: Mapping[str, str], body: bytes) -> AsyncIterator[Send]:
    async with aiohttp.ClientSession(cookie_jar=aiohttp.DummyCookieJar()) as session:

        async def send() -> bytes:
            async with session.post(url + TARGET, data=body, headers=headers, raise_for_status=True) as reply:
                return await reply.read()

        yield send


@asynccontextmanager
async def _httpx(url: str, headers: Mapping[str, str], body: bytes) -> AsyncIterator[Send]:
    async with httpx.AsyncClient() as client:

        async def send() -> bytes:
            reply = await client.post(url + TARGET, content=body, headers=dict(headers))
            return reply.raise_for_status().content

        yield send


@asynccontextmanager
async def _grpc(port: int, request: bytes) -> AsyncIterator[Send]:
    async with grpc.aio.insecure_channel(f"127.0.0.1:{port}") as channel:
        call = channel.unary_unary("/inference.GRPCInferenceService/ModelInfer")

        async def send() -> object:
            return await call(request)

        yield send


class _UnixClient(HttpClient):
    """Our client on a unix socket."""

    def __init__(self, path: str, connections: int) -> None:
        super().__init__("http://localhost", connections, 30)
        self._path = path

    async def _connect(self) -> Connection:
        _, line = await asyncio.get_running_loop().create_unix_connection(Connection, self._path)
        return line
