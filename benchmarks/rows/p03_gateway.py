"""P3: CPU and latency the gateway adds to a proxied request with a verified token, and to `/predict`."""

import base64
import json
import sys
import urllib.request
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path

import orjson

from benchmarks import materials, payloads
from benchmarks.compare import RequestCost, alternate, cost_row, cpu_per_request, measure_cost, median_of
from benchmarks.environments import PEERS, python_of
from benchmarks.load import http_closed_loop, http_open_loop, poisson
from benchmarks.machine import SERVER
from benchmarks.outcome import Check, Outcome
from benchmarks.processes import Server, start, stopping
from benchmarks.profiling import profile
from benchmarks.rows.p02_fusion_request import gateway_request
from benchmarks.stack import RunningServices, free_ports, running_product
from inference.auth_proxy.predictions.product_reader import RequestProduct

GOAL_MS = 0.6
GOAL_P50_MS = 1.0
SECONDS = 2.0
CONCURRENCY = 8
LOW_RATE = 60
"""Requests per second for the latency comparison, low enough that no side queues."""
INFER = "/v2/models/fusion-transformer/infer"
OURS, PREDICT = "ours, proxied", "ours, /predict"
PEER, DIRECT = "FastAPI + httpx, proxied", "no gateway"


def measure(folder: Path) -> Outcome:
    """Compare our gateway with a reverse proxy in front of the same stub."""
    port = free_ports()
    stub = start("stub", [sys.executable, "-m", "benchmarks.fusion_stub", str(port)], port, folder, SERVER)
    backends = dict.fromkeys(("AUTH_PROXY_FUSION_URL", "AUTH_PROXY_TEXT_URL", "AUTH_PROXY_IMAGE_URL"), stub.url)
    with stopping([stub]):
        stub.wait("/")
        with (
            running_product(folder, SERVER, backends, only=["auth-proxy"]) as stack,
            _peer(folder, stub, stack) as peer,
        ):
            ours = stack.servers["auth-proxy"]
            requests = _requests(stack.token)
            servers = {OURS: ours, PREDICT: ours, PEER: peer, DIRECT: stub}
            busy = alternate({name: _busy(servers[name], requests[name]) for name in (OURS, PREDICT, PEER)})
            low_rate = alternate({name: _low_rate(servers[name], requests[name]) for name in servers})
            profiled = profile(ours, lambda: http_closed_loop(ours.port, [requests[PREDICT]], CONCURRENCY, SECONDS))
    cpu = {name: median_of([one.cpu_ms for one in rounds]) for name, rounds in busy.items()}
    p50 = {name: median_of([one.load.percentile_ms(50) for one in rounds]) for name, rounds in low_rate.items()}
    added = {name: p50[name] - p50[DIRECT] for name in (OURS, PREDICT, PEER)}
    return Outcome(
        ours=f"{cpu[OURS]:.2f} ms CPU, +{added[OURS]:.2f} ms p50"
        f" (/predict {cpu[PREDICT]:.2f} ms, +{added[PREDICT]:.2f} ms)",
        peer=f"FastAPI + httpx: {cpu[PEER]:.2f} ms CPU, +{added[PEER]:.2f} ms p50",
        ratio=cpu[PEER] / cpu[OURS],
        checks=[
            Check("CPU per request", cpu[OURS], "ms", "≤", GOAL_MS),
            Check("added p50", added[OURS], "ms", "≤", GOAL_P50_MS),
        ],
        profile=profiled,
        note="The profile is of /predict, which also writes a prediction record to a folder.",
        details=[
            *(cost_row(f"{name}; {CONCURRENCY} at once", rounds) for name, rounds in busy.items()),
            *(
                cost_row(f"{name}; {LOW_RATE} a second, p50 {p50[name]:.2f} ms", rounds)
                for name, rounds in low_rate.items()
            ),
        ],
    )


def _busy(server: Server, request: bytes) -> Callable[[], RequestCost]:
    return lambda: cpu_per_request(server, [request], CONCURRENCY, SECONDS)


def _low_rate(server: Server, request: bytes) -> Callable[[], RequestCost]:
    return lambda: measure_cost(server, lambda: http_open_loop(server.port, [request], poisson(LOW_RATE, SECONDS, 3)))


def _requests(token: str) -> Mapping[str, bytes]:
    one = RequestProduct(materials.products(1)[0].title, image=materials.small_photo())
    direct = gateway_request(one)
    proxied = direct.replace(b"\r\n", f"\r\nAuthorization: Bearer {token}\r\n".encode(), 1)
    image = base64.b64encode(one.image).decode()
    body = orjson.dumps({"designation": one.designation, "image": image})
    predict = payloads.post("/predict", body, payloads.JSON | {"Authorization": f"Bearer {token}"})
    return {OURS: proxied, PREDICT: predict, PEER: proxied, DIRECT: direct}


@contextmanager
def _peer(folder: Path, stub: Server, stack: RunningServices) -> Iterator[Server]:
    """Run the reverse proxy with the public key of our gateway's issuer."""
    with urllib.request.urlopen(f"{stack.servers['auth-proxy'].url}/.well-known/jwks.json") as response:  # noqa: S310
        key = json.load(response)["keys"][0]
    port = stub.port + 1
    environment = {"BENCH_PORT": str(port), "BENCH_BACKEND": stub.url, "BENCH_KEY": json.dumps(key)}
    command = [str(python_of("fastapi")), str(PEERS / "fastapi_proxy.py")]
    with stopping([start("fastapi", command, port, folder, SERVER, environment)]) as (peer,):
        peer.wait("/healthz")
        yield peer
