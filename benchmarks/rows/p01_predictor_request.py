"""P1: CPU of one request from the fusion to a predictor with a no-op model."""

import asyncio
import sys
from collections.abc import Callable, Sequence
from pathlib import Path

import grpc  # type: ignore[import-untyped]
import grpc.aio  # type: ignore[import-untyped]
import numpy as np

from benchmarks import materials, payloads
from benchmarks.compare import RequestCost, alternate, cost_row, cpu_per_request, measure_cost, median_of
from benchmarks.environments import PEERS, python_of
from benchmarks.load import Load, closed_loop, http_closed_loop
from benchmarks.machine import SERVER
from benchmarks.outcome import Check, Outcome
from benchmarks.processes import Server, start, stopping
from benchmarks.profiling import profile
from benchmarks.stack import free_ports
from inference.compat.kserve import import_sdk
from inference.oip.client import encode_request

GOAL_MS = 0.35
MIN_RATIO = 3.0
CONCURRENCY = 8
OURS = "ours, V2 binary (as the fusion sends it)"
SECONDS = 2.0


def measure(folder: Path) -> Outcome:
    """Compare our server with the SDK's and MLServer's in every protocol they offer."""
    port = free_ports()
    servers = _servers(folder, port)
    with stopping(servers):
        ours, kserve, mlserver = servers
        ours.wait("/v2/health/ready")
        kserve.wait("/v2/health/ready")
        mlserver.wait("/v2/health/ready")
        title = materials.products(1)[0].title
        requests = {
            OURS: (ours, predictor_request("text-predictor", title)),
            "ours, V2 JSON": (ours, payloads.v2_texts("text-predictor", [title])),
            "ours, V1 JSON": (ours, payloads.v1("text-predictor", {"designation": title})),
            "KServe SDK, V1 JSON": (kserve, payloads.v1("noop", {"designation": title})),
            "KServe SDK, V2 JSON": (kserve, payloads.v2_texts("noop", [title])),
            "MLServer, V2 JSON": (mlserver, payloads.v2_texts("noop", [title])),
        }
        sides = {name: _over_http(server, request) for name, (server, request) in requests.items()}
        sides["ours, gRPC"] = _over_grpc(ours, port + 1, "text-predictor", title)
        sides["KServe SDK, gRPC"] = _over_grpc(kserve, port + 3, "noop", title)
        found = alternate(sides)
        profiled = profile(
            ours,
            lambda: http_closed_loop(ours.port, [predictor_request("text-predictor", title)], CONCURRENCY, SECONDS),
        )
    cpu = {name: median_of([one.cpu_ms for one in rounds]) for name, rounds in found.items()}
    mine = cpu[OURS]
    best = min((value, name) for name, value in cpu.items() if name.startswith("KServe"))
    return Outcome(
        ours=f"{mine:.3f} ms CPU",
        peer=f"{best[1]}: {best[0]:.3f} ms; MLServer {cpu['MLServer, V2 JSON']:.3f} ms",
        ratio=best[0] / mine,
        checks=[
            Check("CPU per request", mine, "ms", "≤", GOAL_MS),
            Check("times less than the SDK's best path", best[0] / mine, "×", "≥", MIN_RATIO),
        ],
        details=[cost_row(name, rounds) for name, rounds in found.items()],
        profile=profiled,
    )


def predictor_request(model: str, title: str) -> bytes:
    """Return the request the fusion sends for one title."""
    body, headers = encode_request({"designation": [title], "description": [""]})
    return payloads.post(
        f"/v2/models/{model}/infer", body, headers | {"X-Request-Id": "0123456789abcdef0123456789abcdef"}
    )


def _servers(folder: Path, port: int) -> Sequence[Server]:
    bundle = materials.release() / "text"
    noop = [sys.executable, "-m", "benchmarks.noop", "--model_dir", str(bundle), "--host", "127.0.0.1"]
    stock = [str(python_of("kserve")), str(PEERS / "kserve_noop.py")]
    settings = {"MLSERVER_HTTP_PORT": str(port + 4), "MLSERVER_GRPC_PORT": str(port + 5)}
    settings |= {"MLSERVER_METRICS_PORT": str(port + 6), "MLSERVER_PARALLEL_WORKERS": "0", "MLSERVER_DEBUG": "false"}
    mlserver = [str(python_of("mlserver").with_name("mlserver")), "start", str(PEERS / "mlserver_noop")]
    return (
        start("noop", [*noop, "--http_port", str(port), "--grpc_port", str(port + 1)], port, folder, SERVER),
        start("kserve", [*stock, "--http_port", str(port + 2), "--grpc_port", str(port + 3)], port + 2, folder, SERVER),
        start("mlserver", mlserver, port + 4, folder, SERVER, settings),
    )


def _over_http(server: Server, request: bytes) -> Callable[[], RequestCost]:
    return lambda: cpu_per_request(server, [request], CONCURRENCY, SECONDS)


def _over_grpc(server: Server, port: int, model: str, title: str) -> Callable[[], RequestCost]:
    request = grpc_request(model, title)
    return lambda: measure_cost(server, lambda: asyncio.run(_grpc_load(port, request)))


def grpc_request(model: str, title: str) -> bytes:
    import_sdk()
    from kserve.protocol.grpc import grpc_predict_v2_pb2 as pb  # noqa: PLC0415 - after import_sdk()

    message = pb.ModelInferRequest(model_name=model)
    message.inputs.add(name="designation", datatype="BYTES", shape=[1])
    value = title.encode()
    message.raw_input_contents.append(np.uint32(len(value)).tobytes() + value)
    return bytes(message.SerializeToString())


async def _grpc_load(port: int, request: bytes) -> Load:
    async with grpc.aio.insecure_channel(f"127.0.0.1:{port}") as channel:
        call = channel.unary_unary("/inference.GRPCInferenceService/ModelInfer")

        async def send(_: int) -> int:
            try:
                return 200 if await call(request) else 0
            except grpc.aio.AioRpcError:
                return 0

        await send(0)
        return await closed_loop(send, CONCURRENCY, SECONDS)
