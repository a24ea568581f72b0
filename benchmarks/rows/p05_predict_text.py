"""P5: `/predict` with text only, all services, against a scikit-learn pipeline behind one server."""

import json
import subprocess
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from functools import partial
from pathlib import Path

import orjson

from benchmarks import capacity, materials, payloads
from benchmarks.compare import alternate, median_of
from benchmarks.environments import CACHE, PEERS, python_of
from benchmarks.load import http_closed_loop
from benchmarks.machine import ALL
from benchmarks.outcome import Check, Outcome
from benchmarks.processes import Server, start, stopping
from benchmarks.rows.p04_predict import describe
from benchmarks.stack import free_ports, running_product

P99_MS = 25.0
GOAL = 400.0
MIN_RATIO = 2.0
ROUNDS = 2
PEER_NAMES = ("KServe sklearnserver", "MLServer sklearn")


def measure(folder: Path) -> Outcome:
    """Search the highest rate of each side with p99 within the bound."""
    products = materials.products(64)
    with running_product(folder, ALL) as ours, _peers(folder) as peers:
        requests = {name: [_request(name, one.title) for one in products] for name in PEER_NAMES}
        mine = [payloads.predict(one, None, ours.token) for one in products]
        sides = {"ours": partial(capacity.search, ours.port, mine, P99_MS, ours.cpu_s, 5)}
        for name, server in peers.items():
            sides[name] = partial(capacity.search, server.port, requests[name], P99_MS, server.cpu_s, 5)
        found = alternate(sides, ROUNDS)
        memory = {"ours": ours.memory_mb()} | {name: server.memory_mb() for name, server in peers.items()}
        shares = ours.cpu_by_service(
            lambda: http_closed_loop(ours.port, mine, capacity.CONCURRENCY, capacity.WARM_UP_S)
        )
    rate = {name: median_of([one.rate for one in rounds]) for name, rounds in found.items()}
    best = max(PEER_NAMES, key=rate.__getitem__)
    times = rate["ours"] / rate[best] if rate[best] else float("inf")
    return Outcome(
        ours=f"{rate['ours']:.0f}/s",
        peer="; ".join(f"{name}: {rate[name]:.0f}/s" for name in PEER_NAMES),
        ratio=times,
        checks=[
            Check(f"requests per second with p99 ≤ {P99_MS:g} ms", rate["ours"], "/s", "≥", GOAL),
            Check("times the better peer's", times, "×", "≥", MIN_RATIO),
        ],
        details=[describe(name, rounds, memory[name]) for name, rounds in found.items()],
        profile=[f"{name}: {cpu} ms CPU per request" for name, cpu in shares.items()],
        series={name: rounds[-1].tried for name, rounds in found.items()},
    )


def pipeline(environment: str) -> Path:
    """Return the path of a scikit-learn pipeline fitted and pickled in a peer's environment."""
    model = CACHE.resolve() / f"pipeline-{environment}.joblib"
    if not model.exists():
        products = [(one.title, one.label) for one in materials.products(materials.TRAINED_ON)]
        texts = model.with_suffix(".json")
        texts.write_text(json.dumps(products), encoding="utf-8")
        command = [str(python_of(environment)), str(PEERS / "train_sklearn.py"), str(texts), str(model)]
        subprocess.run(command, check=True)  # noqa: S603 - a fixed command
    return model


def _request(name: str, title: str) -> bytes:
    if name == "MLServer sklearn":
        tensor = {
            "name": "predict",
            "shape": [1],
            "datatype": "BYTES",
            "data": [title],
            "parameters": {"content_type": "str"},
        }
        wanted = [{"name": "predict_proba"}]
        return payloads.post("/v2/models/text/infer", orjson.dumps({"inputs": [tensor], "outputs": wanted}))
    return payloads.v1("text", title)


@contextmanager
def _peers(folder: Path) -> Iterator[Mapping[str, Server]]:
    port = free_ports()
    settings = {
        "MLSERVER_HTTP_PORT": str(port + 1),
        "MLSERVER_GRPC_PORT": str(port + 2),
        "MLSERVER_METRICS_PORT": str(port + 3),
        "MLSERVER_PARALLEL_WORKERS": "0",
        "MLSERVER_DEBUG": "false",
        "MLSERVER_MODEL_NAME": "text",
        "MLSERVER_MODEL_URI": str(pipeline("mlserver")),
        "MLSERVER_MODEL_IMPLEMENTATION": "mlserver_sklearn.SKLearnModel",
    }
    stock = [str(python_of("kserve")), str(PEERS / "kserve_sklearn.py"), "--http_port", str(port)]
    mlserver = [str(python_of("mlserver").with_name("mlserver")), "start", str(folder)]
    model = {"BENCH_PIPELINE": str(pipeline("kserve"))}
    started = [
        start("sklearnserver", stock, port, folder, ALL, model),
        start("mlserver", mlserver, port + 1, folder, ALL, settings),
    ]
    with stopping(started):
        for server in started:
            server.wait("/v2/health/ready")
        yield dict(zip(PEER_NAMES, started, strict=True))
