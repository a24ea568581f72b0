"""How one server of ours may ask another: CPU of either side per question, by client and by transport."""

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
from benchmarks.compare import in_turns, middle, spread
from benchmarks.load import Load, closed_loop
from benchmarks.machine import SERVER
from benchmarks.outcome import Outcome
from benchmarks.processes import Server, start, stopping
from benchmarks.rows.p01_predictor_hop import grpc_request
from benchmarks.stack import free_ports
from inference.http.client import Client, Line
from inference.oip.client import encode_request

MODEL = "text-predictor"
TARGET = f"/v2/models/{MODEL}/infer"
AT_ONCE = 8
SECONDS = 2.0
MINE = "ours over TCP"

Ask = Callable[[], Awaitable[object]]
Connect = Callable[[], AbstractAsyncContextManager[Ask]]


@dataclass(frozen=True)
class Cost:
    """CPU of one question in milliseconds."""

    client_ms: float
    server_ms: float
    load: Load

    @property
    def both_ms(self) -> float:
        """Of either side together."""
        return self.client_ms + self.server_ms


def measure(folder: Path) -> Outcome:
    """Ask a predictor without work, and the cheapest server there is, in every way that was considered."""
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
        ways: Mapping[str, tuple[Server, Connect]] = {
            MINE: (predictor, partial(_lean, Client(predictor.url, AT_ONCE, 30), headers, body)),
            "aiohttp over TCP": (predictor, partial(_aiohttp, predictor.url, headers, body)),
            "httpx over TCP": (predictor, partial(_httpx, predictor.url, headers, body)),
            "gRPC": (predictor, partial(_grpc, port + 1, grpc_request(MODEL, title))),
            "ours over TCP, cheapest server": (tcp, partial(_lean, Client(tcp.url, AT_ONCE, 30), headers, body)),
            "ours over a unix socket, cheapest server": (
                unix,
                partial(_lean, _UnixClient(path, AT_ONCE), headers, body),
            ),
        }
        found = in_turns({name: partial(_cost, *way) for name, way in ways.items()})
    cost = {name: middle([one.both_ms for one in rounds]) for name, rounds in found.items()}
    others = [name for name, (server, _) in ways.items() if server is predictor and name != MINE]
    best = min(others, key=cost.__getitem__)
    return Outcome(
        ours=f"{cost[MINE]:.3f} ms CPU of both sides",
        peer="; ".join(f"{name}: {cost[name]:.3f} ms" for name in others),
        ratio=cost[best] / cost[MINE],
        checks=[],
        details=[
            {
                "what": name,
                "CPU ms, client": spread([one.client_ms for one in rounds]),
                "CPU ms, server": spread([one.server_ms for one in rounds]),
                "questions per second": spread([one.load.rate for one in rounds]),
            }
            for name, rounds in found.items()
        ],
        note=f"A question of the fusion to a predictor whose model does nothing, {AT_ONCE} at once.",
    )


def _cost(server: Server, connect: Connect) -> Cost:
    async def run() -> tuple[Load, float]:
        async with connect() as ask:

            async def counted(_: int) -> int:
                await ask()
                return 200

            await closed_loop(counted, AT_ONCE, SECONDS / 4)
            before = server.cpu_s()
            load = await closed_loop(counted, AT_ONCE, SECONDS)
            return load, server.cpu_s() - before

    with asyncio.Runner(loop_factory=uvloop.new_event_loop) as runner:
        load, server_s = runner.run(run())
    per_question = 1000 / max(load.answered, 1)
    return Cost(load.generator_cpu_s * per_question, server_s * per_question, load)


@asynccontextmanager
async def _lean(client: Client, headers: Mapping[str, str], body: bytes) -> AsyncIterator[Ask]:
    async def ask() -> None:
        reply = await client.ask("POST", TARGET, headers, body)
        assert reply.status == 200  # noqa: S101 - a figure of refusals would mean nothing

    yield ask
    client.close()


@asynccontextmanager
async def _aiohttp(url: str, headers: Mapping[str, str], body: bytes) -> AsyncIterator[Ask]:
    async with aiohttp.ClientSession(cookie_jar=aiohttp.DummyCookieJar()) as session:

        async def ask() -> bytes:
            async with session.post(url + TARGET, data=body, headers=headers, raise_for_status=True) as reply:
                return await reply.read()

        yield ask


@asynccontextmanager
async def _httpx(url: str, headers: Mapping[str, str], body: bytes) -> AsyncIterator[Ask]:
    async with httpx.AsyncClient() as client:

        async def ask() -> bytes:
            reply = await client.post(url + TARGET, content=body, headers=dict(headers))
            return reply.raise_for_status().content

        yield ask


@asynccontextmanager
async def _grpc(port: int, request: bytes) -> AsyncIterator[Ask]:
    async with grpc.aio.insecure_channel(f"127.0.0.1:{port}") as channel:
        call = channel.unary_unary("/inference.GRPCInferenceService/ModelInfer")

        async def ask() -> object:
            return await call(request)

        yield ask


class _UnixClient(Client):
    """Our client on a unix socket."""

    def __init__(self, path: str, connections: int) -> None:
        super().__init__("http://localhost", connections, 30)
        self._path = path

    async def _connect(self) -> Line:
        _, line = await asyncio.get_running_loop().create_unix_connection(Line, self._path)
        return line
