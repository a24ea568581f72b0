"""Throughput over the number of predictor processes and over the batch size."""

import base64
import sys
import threading
from collections.abc import Callable, Mapping, Sequence
from functools import partial
from pathlib import Path

import orjson

from benchmarks import materials, payloads
from benchmarks.load import Load, http_closed_loop
from benchmarks.machine import ALL
from benchmarks.outcome import Outcome
from benchmarks.processes import Server, start, stopping
from benchmarks.stack import free_ports, running_product
from benchmarks.timing import ms_per_item
from product_classifier.releases import release

PROCESSES = (1, 2, 4)
BATCHES = (1, 4, 16, 64)
SECONDS = 3.0
CONCURRENCY = 4


def measure(folder: Path) -> Outcome:
    """Measure both curves."""
    processes = [(float(count), _throughput(count, folder)) for count in PROCESSES]
    calls = {name: _cost_by_batch_size(model) for name, model in _models().items()}
    with running_product(folder, ALL) as stack:
        batches = [(float(size), _batch_throughput(stack.port, stack.token, size)) for size in BATCHES]
    return Outcome(
        ours=f"{processes[-1][1] / processes[0][1]:.1f}× with {PROCESSES[-1]} processes on {len(ALL)} cores; "
        f"{batches[-1][1] / batches[0][1]:.1f}× products a second in batches of {BATCHES[-1]}",
        peer="one process; one product per request",
        ratio=None,
        checks=[],
        details=[
            *(
                {"what": f"{count:g} image predictors", "products per second": round(rate, 1)}
                for count, rate in processes
            ),
            *({"what": f"/predict/batch of {size:g}", "products per second": round(rate, 1)} for size, rate in batches),
            *(
                {"what": f"{name} model, {size:g} in one call", "CPU ms per product": round(cost, 3)}
                for name, costs in calls.items()
                for size, cost in costs
            ),
        ],
        note="The saving of one model call with several products bounds what adaptive batching can save.",
        series={"image predictors": processes, "/predict/batch, text and photo": batches},
    )


def _models() -> Mapping[str, Callable[[int], object]]:
    """Return for each model a function that predicts a given number of products."""
    text, _ = release.load_text(materials.release() / "text")
    image, _ = release.load_image(materials.release() / "image")
    titles, photos = [one.title for one in materials.products(BATCHES[-1])], materials.photos(BATCHES[-1])
    return {
        "text": lambda size: text.probabilities(titles[:size], [""] * size),
        "image": lambda size: image.probabilities(photos[:size]),
    }


def _cost_by_batch_size(predict: Callable[[int], object]) -> Sequence[tuple[float, float]]:
    """Return (batch size, CPU ms per product); every size covers the same number of products."""

    def predict_all(size: int) -> None:
        for _ in range(BATCHES[-1] // size):
            predict(size)

    predict_all(1)
    return [
        (float(size), min(ms_per_item(partial(predict_all, size), BATCHES[-1]) for _ in range(5))) for size in BATCHES
    ]


def _throughput(count: int, folder: Path) -> float:
    """Return photos per second of `count` image predictors, each loaded by its own thread."""
    port = free_ports(count)
    options = ["--model_dir", str(materials.release()), "--host", "127.0.0.1", "--grpc_port", "0", "--threads", "1"]
    command = [sys.executable, "-m", "inference.image_predictor", *options, "--http_port"]
    servers = [start("image", [*command, str(port + n)], port + n, folder, ALL) for n in range(count)]
    request = payloads.v1("image-predictor", base64.b64encode(materials.photos(1)[0]).decode())
    with stopping(servers):
        for server in servers:
            server.wait("/v2/health/ready")
        return sum(load.rate for load in _load_concurrently(servers, request))


def _load_concurrently(servers: Sequence[Server], request: bytes) -> Sequence[Load]:
    loads: list[Load] = []

    def load(server: Server) -> None:
        loads.append(http_closed_loop(server.port, [request], CONCURRENCY, SECONDS))

    threads = [threading.Thread(target=load, args=(server,)) for server in servers]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    return loads


def _batch_throughput(port: int, token: str, size: int) -> float:
    """Return products per second of `/predict/batch` at one batch size."""
    samples = zip(materials.products(size), (materials.photos(24)[n % 24] for n in range(size)), strict=True)
    rows = [{"designation": one.title, "image": base64.b64encode(photo).decode()} for one, photo in samples]
    request = payloads.post("/predict/batch", orjson.dumps(rows), payloads.JSON | {"Authorization": f"Bearer {token}"})
    return http_closed_loop(port, [request], 2, SECONDS).rate * size
