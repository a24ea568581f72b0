"""More processes of one predictor, and more products in one request: what either brings."""

import base64
import sys
import threading
from collections.abc import Callable, Mapping, Sequence
from functools import partial
from pathlib import Path

import orjson

from benchmarks import materials, payloads
from benchmarks.load import Load, closed
from benchmarks.machine import ALL
from benchmarks.outcome import Outcome
from benchmarks.processes import Server, start, stopping
from benchmarks.stack import free_ports, product
from benchmarks.timing import ms_per_item
from product_classifier.releases import release

PROCESSES = (1, 2, 4)
BATCHES = (1, 4, 16, 64)
SECONDS = 3.0
AT_ONCE = 4


def measure(folder: Path) -> Outcome:
    """Draw both curves."""
    processes = [(float(count), _with(count, folder)) for count in PROCESSES]
    calls = {name: _together(model) for name, model in _models().items()}
    with product(folder, ALL) as stack:
        batches = [(float(size), _batched(stack.port, stack.token, size)) for size in BATCHES]
    return Outcome(
        ours=f"{processes[-1][1] / processes[0][1]:.1f}× with {PROCESSES[-1]} processes on {len(ALL)} cores; "
        f"{batches[-1][1] / batches[0][1]:.1f}× products a second in batches of {BATCHES[-1]}",
        peer="itself with one process; itself with one product a request",
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
        note="What several products in one call of a model save is all that gathering requests into batches could.",
        series={"image predictors": processes, "/predict/batch, text and photo": batches},
    )


def _models() -> Mapping[str, Callable[[int], object]]:
    """Return for each model how to ask it about so many products."""
    text, _ = release.load_text(materials.release() / "text")
    image, _ = release.load_image(materials.release() / "image")
    titles, photos = [one.title for one in materials.products(BATCHES[-1])], materials.photos(BATCHES[-1])
    return {
        "text": lambda size: text.probabilities(titles[:size], [""] * size),
        "image": lambda size: image.probabilities(photos[:size]),
    }


def _together(ask: Callable[[int], object]) -> Sequence[tuple[float, float]]:
    """Return the cost per product of calls of every size, each about the same number of products."""

    def all_of_them(size: int) -> None:
        for _ in range(BATCHES[-1] // size):
            ask(size)

    all_of_them(1)
    return [
        (float(size), min(ms_per_item(partial(all_of_them, size), BATCHES[-1]) for _ in range(5))) for size in BATCHES
    ]


def _with(count: int, folder: Path) -> float:
    """Return photos per second of so many image predictors, each loaded by a thread of its own."""
    port = free_ports(count)
    options = ["--model_dir", str(materials.release()), "--host", "127.0.0.1", "--grpc_port", "0", "--threads", "1"]
    command = [sys.executable, "-m", "inference.image_predictor", *options, "--http_port"]
    servers = [start("image", [*command, str(port + n)], port + n, folder, ALL) for n in range(count)]
    request = payloads.v1("image-predictor", base64.b64encode(materials.photos(1)[0]).decode())
    with stopping(servers):
        for server in servers:
            server.wait("/v2/health/ready")
        return sum(load.rate for load in _all_at_once(servers, request))


def _all_at_once(servers: Sequence[Server], request: bytes) -> Sequence[Load]:
    loads: list[Load] = []

    def load(server: Server) -> None:
        loads.append(closed(server.port, [request], AT_ONCE, SECONDS))

    threads = [threading.Thread(target=load, args=(server,)) for server in servers]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    return loads


def _batched(port: int, token: str, size: int) -> float:
    """Return products per second in batches of a size."""
    asked = zip(materials.products(size), (materials.photos(24)[n % 24] for n in range(size)), strict=True)
    rows = [{"designation": one.title, "image": base64.b64encode(photo).decode()} for one, photo in asked]
    request = payloads.post("/predict/batch", orjson.dumps(rows), payloads.JSON | {"Authorization": f"Bearer {token}"})
    return closed(port, [request], 2, SECONDS).rate * size
