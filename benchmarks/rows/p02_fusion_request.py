"""P2: CPU the fusion transformer adds per request, without the predictors' own CPU."""

import sys
from collections.abc import Callable, Mapping
from pathlib import Path

from benchmarks import materials, payloads
from benchmarks.compare import RequestCost, alternate, cost_row, cpu_per_request, median_of
from benchmarks.environments import PEERS, python_of
from benchmarks.load import http_closed_loop
from benchmarks.machine import SERVER
from benchmarks.outcome import Check, Outcome
from benchmarks.processes import Server, start, stopping
from benchmarks.profiling import profile
from benchmarks.stack import free_ports
from inference.auth_proxy.predictions.fusion_codec import encode_products
from inference.auth_proxy.predictions.product_reader import RequestProduct

GOAL_MS = 0.6
MIN_RATIO = 10.0
SECONDS = 2.0
CONCURRENCY = (1, 16)


def measure(folder: Path) -> Outcome:
    """Compare our fusion transformer with the SDK's stock transformer in front of no-op predictors."""
    port = free_ports()
    servers = _servers(folder, port)
    with stopping(list(servers.values())):
        for server in servers.values():
            server.wait("/v2/health/ready")
        fusion, stock = servers["fusion"], servers["transformer"]
        title = materials.products(1)[0].title
        requests = {
            "ours, text: one predictor": (fusion, gateway_request(RequestProduct(title))),
            "ours, text and photo: two predictors": (
                fusion,
                gateway_request(RequestProduct(title, image=materials.small_photo())),
            ),
            "KServe SDK, V1: one predictor": (stock, payloads.v1("noop", {"designation": title})),
            "KServe SDK, V2: one predictor": (servers["transformer-v2"], payloads.v2_texts("noop", [title])),
        }
        found = {
            concurrency: alternate({
                name: _load(server, request, concurrency) for name, (server, request) in requests.items()
            })
            for concurrency in CONCURRENCY
        }  # fmt: skip
        request = gateway_request(RequestProduct(title))
        profiled = profile(fusion, lambda: http_closed_loop(fusion.port, [request], CONCURRENCY[-1], SECONDS))
    cpu = {
        concurrency: {name: median_of([one.cpu_ms for one in of]) for name, of in rows.items()}
        for concurrency, rows in found.items()
    }
    mine, busy = "ours, text: one predictor", CONCURRENCY[-1]
    best = min(value for name, value in cpu[busy].items() if name.startswith("KServe"))
    worst = max(cpu[concurrency][mine] for concurrency in CONCURRENCY)
    return Outcome(
        ours=f"{cpu[1][mine]:.2f} ms at 1, {cpu[busy][mine]:.2f} ms at {busy} at once",
        peer=f"KServe transformer: {cpu[1]['KServe SDK, V1: one predictor']:.2f} ms, {best:.2f} ms",
        ratio=best / cpu[busy][mine],
        checks=[
            Check("CPU added", worst, "ms", "≤", GOAL_MS),
            Check(f"times less at {busy} at once", best / cpu[busy][mine], "×", "≥", MIN_RATIO),
        ],
        profile=profiled,
        details=[
            cost_row(f"{name}; {concurrency} at once", of)
            for concurrency, rows in found.items()
            for name, of in rows.items()
        ],
    )


def gateway_request(product: RequestProduct) -> bytes:
    """Return the request the gateway sends to the fusion for one product."""
    body, headers = encode_products([product])
    return payloads.post("/v2/models/fusion-transformer/infer", body, headers | {"X-Request-Id": "0123456789abcdef"})


def _load(server: Server, request: bytes, concurrency: int) -> Callable[[], RequestCost]:
    return lambda: cpu_per_request(server, [request], concurrency, SECONDS)


def _servers(folder: Path, port: int) -> Mapping[str, Server]:
    release = materials.release()

    def ours(module: str, at: int, bundle: str, name: str, **environment: str) -> Server:
        words = ["--model_dir", str(release / bundle), "--host", "127.0.0.1", "--model_name", name]
        command = [sys.executable, "-m", module, *words, "--http_port", str(at), "--grpc_port", "0"]
        return start(name, command, at, folder, SERVER, environment)

    def stock(script: str, at: int, *words: str) -> Server:
        command = [str(python_of("kserve")), str(PEERS / script), "--http_port", str(at), "--grpc_port", str(at + 1)]
        return start(script.removesuffix(".py"), [*command, *words], at, folder, SERVER)

    behind = ("--model_name", "noop", "--predictor_host", f"127.0.0.1:{port + 3}", "--predictor_protocol")
    return {
        "text": ours("benchmarks.noop", port, "text", "text-predictor"),
        "image": ours("benchmarks.noop", port + 1, "text", "image-predictor"),
        "fusion": ours(
            "inference.fusion_transformer",
            port + 2,
            "fusion",
            "fusion-transformer",
            FUSION_TEXT_URL=f"http://127.0.0.1:{port}",
            FUSION_IMAGE_URL=f"http://127.0.0.1:{port + 1}",
        ),
        "predictor": stock("kserve_noop.py", port + 3),
        "transformer": stock("kserve_transformer.py", port + 5, *behind, "v1"),
        "transformer-v2": stock("kserve_transformer.py", port + 7, *behind, "v2"),
    }
