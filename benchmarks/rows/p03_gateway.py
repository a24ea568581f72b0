"""P3: what the gateway adds to a request it passes on, its token verified; `/predict` beside it."""

import base64
import json
import sys
import urllib.request
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path

import orjson

from benchmarks import materials, payloads
from benchmarks.compare import Measured, costing, cpu_per_request, in_turns, line, middle
from benchmarks.environments import PEERS, python_of
from benchmarks.load import closed, planned, poisson
from benchmarks.machine import SERVER
from benchmarks.outcome import Check, Outcome
from benchmarks.processes import Server, start, stopping
from benchmarks.profiling import profile
from benchmarks.rows.p02_fusion_hop import gateway_request
from benchmarks.stack import Stack, free_ports, product
from inference.auth_proxy.predictions.products import Product

GOAL_MS = 0.6
GOAL_P50_MS = 1.0
SECONDS = 2.0
AT_ONCE = 8
CALM_RATE = 60
"""Requests per second at which latency is compared: far from where either side has to queue."""
INFER = "/v2/models/fusion-transformer/infer"
OURS, PREDICT = "ours, passed on", "ours, /predict"
PEER, DIRECT = "FastAPI + httpx, passed on", "no gateway"


def measure(folder: Path) -> Outcome:
    """Compare our gateway with a reverse proxy in front of the same stub."""
    port = free_ports()
    stub = start("stub", [sys.executable, "-m", "benchmarks.fusion_stub", str(port)], port, folder, SERVER)
    backends = dict.fromkeys(("AUTH_PROXY_FUSION_URL", "AUTH_PROXY_TEXT_URL", "AUTH_PROXY_IMAGE_URL"), stub.url)
    with stopping([stub]):
        stub.wait("/")
        with product(folder, SERVER, backends, only=["auth-proxy"]) as stack, _peer(folder, stub, stack) as peer:
            ours = stack.servers["auth-proxy"]
            requests = _requests(stack.token)
            servers = {OURS: ours, PREDICT: ours, PEER: peer, DIRECT: stub}
            busy = in_turns({name: _busy(servers[name], requests[name]) for name in (OURS, PREDICT, PEER)})
            calm = in_turns({name: _calm(servers[name], requests[name]) for name in servers})
            profiled = profile(ours, lambda: closed(ours.port, [requests[PREDICT]], AT_ONCE, SECONDS))
    cpu = {name: middle([one.cpu_ms for one in rounds]) for name, rounds in busy.items()}
    p50 = {name: middle([one.load.percentile_ms(50) for one in rounds]) for name, rounds in calm.items()}
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
        note="The profile is that of /predict, which also keeps a record in a folder.",
        details=[
            *(line(f"{name}; {AT_ONCE} at once", rounds) for name, rounds in busy.items()),
            *(line(f"{name}; {CALM_RATE} a second, p50 {p50[name]:.2f} ms", rounds) for name, rounds in calm.items()),
        ],
    )


def _busy(server: Server, request: bytes) -> Callable[[], Measured]:
    return lambda: cpu_per_request(server, [request], AT_ONCE, SECONDS)


def _calm(server: Server, request: bytes) -> Callable[[], Measured]:
    return lambda: costing(server, lambda: planned(server.port, [request], poisson(CALM_RATE, SECONDS, 3)))


def _requests(token: str) -> Mapping[str, bytes]:
    one = Product(materials.products(1)[0].title, image=materials.small_photo())
    direct = gateway_request(one)
    passed = direct.replace(b"\r\n", f"\r\nAuthorization: Bearer {token}\r\n".encode(), 1)
    image = base64.b64encode(one.image).decode()
    body = orjson.dumps({"designation": one.designation, "image": image})
    predict = payloads.post("/predict", body, payloads.JSON | {"Authorization": f"Bearer {token}"})
    return {OURS: passed, PREDICT: predict, PEER: passed, DIRECT: direct}


@contextmanager
def _peer(folder: Path, stub: Server, stack: Stack) -> Iterator[Server]:
    """Run the reverse proxy with the public key our gateway signs with."""
    with urllib.request.urlopen(f"{stack.servers['auth-proxy'].url}/.well-known/jwks.json") as reply:  # noqa: S310
        key = json.load(reply)["keys"][0]
    port = stub.port + 1
    environment = {"BENCH_PORT": str(port), "BENCH_BACKEND": stub.url, "BENCH_KEY": json.dumps(key)}
    command = [str(python_of("fastapi")), str(PEERS / "fastapi_proxy.py")]
    with stopping([start("fastapi", command, port, folder, SERVER, environment)]) as (peer,):
        peer.wait("/healthz")
        yield peer
