"""P12: seconds from starting a predictor to its first correct response; memory at that time."""

import base64
import json
import re
import sys
import time
from collections import Counter
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, replace
from functools import partial
from pathlib import Path

import numpy as np
import torch

from benchmarks import materials, payloads
from benchmarks.compare import alternate, median_and_range, median_of
from benchmarks.environments import CACHE, PEERS, python_of
from benchmarks.load import LoadResponse, send_each
from benchmarks.machine import SERVER
from benchmarks.outcome import Check, Outcome
from benchmarks.processes import ServerNotReady, start, stopping
from benchmarks.stack import free_ports
from product_classifier.images.model import ImageModel
from product_classifier.text.loading import load_text_model

GOAL_S = 1.5
GOAL_MB = 350.0
START_TIMEOUT_S = 60.0
TOP = 10
_IMPORTED = re.compile(r"import time: +(?P<us>\d+) \| +\d+ \| +(?P<name>[\w.]+)")
Probabilities = Sequence[float]


@dataclass(frozen=True)
class Candidate:
    """A server to start, a request and the expected response."""

    command: Callable[[int], Sequence[str]]
    request: bytes
    read: Callable[[bytes], Probabilities]
    expected: Probabilities | None
    environment: Mapping[str, str]


def measure(folder: Path) -> Outcome:
    """Start each server several times, files in the page cache, and poll until the response is correct."""
    found = alternate({name: partial(_start, name, one, folder) for name, one in _candidates().items()})
    seconds = {name: median_of([took for took, _ in rounds]) for name, rounds in found.items()}
    memory = {name: median_of([held for _, held in rounds]) for name, rounds in found.items()}
    ours = [name for name in found if name.startswith("ours")]
    slowest, largest = max(ours, key=seconds.__getitem__), max(ours, key=memory.__getitem__)
    peers = [name for name in found if name not in ours]
    return Outcome(
        ours="; ".join(
            f"{name.removeprefix('ours, ')}: {seconds[name]:.2f} s, {memory[name]:.0f} MiB" for name in ours
        ),
        peer="; ".join(f"{name}: {seconds[name]:.2f} s, {memory[name]:.0f} MiB" for name in peers),
        ratio=min(seconds[name] for name in peers) / seconds[slowest],
        checks=[
            Check("seconds to the first correct response", seconds[slowest], "s", "≤", GOAL_S),
            Check("memory", memory[largest], "MiB", "≤", GOAL_MB),
        ],
        details=[
            {
                "what": name,
                "seconds": median_and_range([took for took, _ in rounds]),
                "memory MiB (PSS)": median_and_range([held for _, held in rounds]),
            }
            for name, rounds in found.items()
        ],
        profile=_imports(slowest, folder),
    )


def _imports(name: str, folder: Path) -> Sequence[str]:
    """Start a server with `-X importtime` and return the import time per package."""
    candidate = _candidates()[name]
    profiled = replace(candidate, command=lambda port: _with_import_times(candidate.command(port)))
    elapsed_s, _ = _start(f"profiled {name}", profiled, folder)
    (log,) = folder.glob(f"cold-profiled-{name.replace(' ', '-')}-*.log")
    packages: Counter[str] = Counter()
    for line in log.read_text(errors="replace").splitlines():
        if found := _IMPORTED.fullmatch(line):
            packages[found["name"].partition(".")[0]] += int(found["us"])
    lines = [f"{us / 1000:.0f} ms importing {package}" for package, us in packages.most_common(TOP)]
    return [f"{packages.total() / 1000:.0f} of {elapsed_s * 1000:.0f} ms imports (slowed by -X importtime)", *lines]


def _with_import_times(command: Sequence[str]) -> Sequence[str]:
    python, *words = command
    return [python, "-X", "importtime", *words]


def _candidates() -> Mapping[str, Candidate]:
    release, (product,), (photo,) = materials.release(), materials.products(1), materials.photos(1)
    words = load_text_model(release / "text").probabilities([product.title], [""])[0].tolist()
    seen = ImageModel.load(release / "image").probabilities([photo])[0].tolist()
    torchscript = _torchscript()

    def ours(module: str) -> Callable[[int], Sequence[str]]:
        options = ["--model_dir", str(release), "--host", "127.0.0.1", "--grpc_port", "0", "--http_port"]
        return lambda port: [sys.executable, "-m", f"inference.{module}", *options, str(port)]

    def stock(kind: str) -> Callable[[int], Sequence[str]]:
        script = str(PEERS / "kserve_models.py")
        return lambda port: [str(python_of("kserve")), script, kind, "--http_port", str(port)]

    path = {"PYTHONPATH": str(Path("src").resolve()), "BENCH_RELEASE": str(release)}
    image = payloads.v1_product("image", product, photo)
    network = {"BENCH_TORCHSCRIPT": str(torchscript), "BENCH_SIZE": str(materials.LARGE_SIZE)}
    encoded = base64.b64encode(photo).decode()
    body = json.dumps({"image": encoded}).encode()

    def serve_torch(port: int) -> Sequence[str]:
        return ["env", f"BENCH_PORT={port}", sys.executable, str(PEERS / "torch_server.py")]

    return {
        "ours, text": Candidate(
            ours("text_predictor"), payloads.v1("text-predictor", product.title), _v1, words, {}
        ),
        "ours, image": Candidate(ours("image_predictor"), payloads.v1("image-predictor", encoded), _v1, seen, {}),
        "KServe SDK, text": Candidate(stock("text"), payloads.v1_product("text", product, None), _v1, words, path),
        "KServe SDK, image": Candidate(stock("image"), image, _v1, None, path),
        "torch and FastAPI, image": Candidate(
            serve_torch, payloads.post("/predict", body), _fastapi, None, network
        ),
    }  # fmt: skip


def _start(name: str, candidate: Candidate, folder: Path) -> tuple[float, float]:
    """Return seconds to the first correct response and MiB of memory then."""
    port = free_ports(1)
    began = time.perf_counter()
    server = start(
        f"cold-{name.replace(' ', '-')}", candidate.command(port), port, folder, SERVER, candidate.environment
    )
    with stopping([server]):
        while time.perf_counter() - began < START_TIMEOUT_S and server.process.poll() is None:
            (answer,) = send_each(port, [candidate.request])
            if answer.status == 200:
                took = time.perf_counter() - began
                _check(name, answer, candidate)
                return took, server.memory_mb()
            time.sleep(0.01)
    raise ServerNotReady(f"{name} did not respond within {START_TIMEOUT_S:g} s; see {server.log}")


def _check(name: str, answer: LoadResponse, candidate: Candidate) -> None:
    probabilities = candidate.read(answer.body)
    expected = candidate.expected if candidate.expected is not None else probabilities
    if not np.allclose(probabilities, expected, atol=1e-5) or not 0.99 < sum(probabilities) < 1.01:
        raise ServerNotReady(f"{name} returned {probabilities[:3]}…, expected {expected[:3]}…")


def _v1(body: bytes) -> Probabilities:
    found: Probabilities = json.loads(body)["predictions"][0]
    return found


def _fastapi(body: bytes) -> Probabilities:
    found: Probabilities = json.loads(body)["probabilities"]
    return found


def _torchscript() -> Path:
    """Return the image network as TorchScript."""
    path = CACHE.resolve() / "network.torchscript"
    if not path.exists():
        side = materials.LARGE_SIZE
        traced = torch.jit.trace(materials.mobile_network(), torch.zeros(1, side, side, 3, dtype=torch.uint8))
        traced.save(str(path))
    return path
