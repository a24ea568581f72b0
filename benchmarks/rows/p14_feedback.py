"""P14: latency of a durable acknowledgement at 200 corrections per second, against one PUT into MinIO."""

import io
import os
import shutil
import statistics
import time
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import orjson
from minio import Minio

from benchmarks import materials, payloads
from benchmarks.compare import TooManyFailures, alternate, measure_cost, median_and_range, median_of
from benchmarks.load import Load, http_open_loop, poisson
from benchmarks.machine import ALL
from benchmarks.outcome import Check, Outcome
from benchmarks.processes import Server, start, stopping
from benchmarks.profiling import profile
from benchmarks.stack import free_ports, running_product

GOAL_MS = 15.0
RATE = 200
SECONDS = 5.0
ROUNDS = 2
PUTS = 200
BUCKET = "product-classifier"
SECRET = "benchmark-" * 4
MINIO = {"MINIO_ROOT_USER": "benchmark", "MINIO_ROOT_PASSWORD": SECRET}
INSTALLED = Path.home() / ".cache/one-node-cluster/bin/minio"


def measure(folder: Path) -> Outcome:
    """Send corrections in an open loop to a service on a folder and, if installed, on MinIO."""
    store_s3 = _minio_command()
    with _minio(folder, store_s3) as minio:
        with _service(folder / "file", {}) as files, _service(folder / "s3", _s3(minio)) as objects:
            sides: dict[str, Callable[[], Load]] = {"ours, into a folder": _corrections(files)}
            if minio:
                sides["ours, into MinIO"] = _corrections(objects)
            found = alternate(sides, ROUNDS)
            profiled = _profile(files, objects, minio, folder)
        puts = _puts(minio) if minio else []
    p99 = {name: median_of([load.percentile_ms(99) for load in rounds]) for name, rounds in found.items()}
    peer = statistics.quantiles(puts, n=100)[98] if puts else float("nan")
    return Outcome(
        ours="; ".join(f"{name.removeprefix('ours, ')}: p99 {value:.1f} ms" for name, value in p99.items()),
        peer=f"sequential PUTs into MinIO: p99 {peer:.1f} ms" if puts else "MinIO is not installed",
        ratio=peer / max(p99.values()) if puts else None,
        checks=[Check(f"p99 {name.removeprefix('ours, ')}", value, "ms", "≤", GOAL_MS) for name, value in p99.items()],
        details=[
            {
                "what": name,
                "p50 ms": median_and_range([load.percentile_ms(50) for load in rounds]),
                "p99 ms": median_and_range([load.percentile_ms(99) for load in rounds]),
                "acknowledged per second": median_and_range([load.rate for load in rounds]),
            }
            for name, rounds in found.items()
        ],
        profile=profiled,
        note=f"{RATE} a second for {SECONDS:g} s, all different; sent to the service without the gateway.",
    )


def _profile(files: Server, objects: Server, minio: Server | None, folder: Path) -> Sequence[str]:
    """Return CPU per correction of service and MinIO, and the fsync latency of this disk."""
    shares = [f"{measure_cost(files, _corrections(files)).cpu_ms:.2f} ms CPU the service, into a folder"]
    if minio:
        before = minio.cpu_s()
        service = measure_cost(objects, _corrections(objects))
        rest_ms = (minio.cpu_s() - before) * 1000 / service.load.answered
        shares += [f"{service.cpu_ms:.2f} ms CPU the service, into MinIO, and {rest_ms:.2f} ms MinIO"]
    middle_ms, p99_ms = _fsyncs(folder / "fsync")
    shares += [f"{middle_ms:.1f} ms (p99 {p99_ms:.1f} ms) fsync of 1 kB in a new file on the idle disk"]
    return [*shares, *profile(files, _corrections(files))]


def _fsyncs(folder: Path) -> tuple[float, float]:
    """Return median and p99 in ms of writing and fsyncing a small file."""
    folder.mkdir()
    took_ms = []
    for number in range(PUTS):
        began = time.perf_counter()
        with (folder / str(number)).open("wb") as file:
            file.write(b"x" * 1000)
            file.flush()
            os.fsync(file.fileno())
        took_ms.append((time.perf_counter() - began) * 1000)
    return statistics.median(took_ms), statistics.quantiles(took_ms, n=100)[98]


def _corrections(server: Server) -> Callable[[], Load]:
    def run() -> Load:
        moments = poisson(RATE, SECONDS, 14)
        load = http_open_loop(server.port, [_correction(number) for number in range(len(moments))], moments)
        if load.answered < len(moments):
            raise TooManyFailures(f"{load.status_counts()}; see {server.log}")
        return load

    return run


def _correction(number: int) -> bytes:
    one = f"Produit {time.time_ns()} {number}"
    body = orjson.dumps({"product": {"designation": one}, "code": materials.products(1)[0].label})
    who = {"X-Internal-Token": SECRET, "X-Auth-User": "ursula", "X-Auth-Role": "user"}
    return payloads.post("/feedback", body, payloads.JSON | who | {"Idempotency-Key": one})


@contextmanager
def _service(folder: Path, environment: Mapping[str, str]) -> Iterator[Server]:
    given = {"FEEDBACK_INTERNAL_TOKEN": SECRET, "FEEDBACK_TRIGGER_URL": "", "FEEDBACK_DAILY_CORRECTIONS": "0"}
    given |= environment
    with running_product(folder, ALL, given, only=["feedback-service"]) as stack:
        yield stack.servers["feedback-service"]


@contextmanager
def _minio(folder: Path, command: str | None) -> Iterator[Server | None]:
    """Run MinIO with a bucket."""
    if command is None:
        yield None
        return
    port, data = free_ports(2), folder / "minio"
    arguments = [command, "server", "--quiet", "--address", f"127.0.0.1:{port}", str(data)]
    with stopping([start("minio", arguments, port, folder, ALL, MINIO)]) as (server,):
        server.wait("/minio/health/ready")
        _client(server).make_bucket(BUCKET)
        yield server


def _minio_command() -> str | None:
    """Return the MinIO binary from MINIO_BINARY, PATH or the cache of the development cluster."""
    return os.environ.get("MINIO_BINARY") or shutil.which("minio") or (str(INSTALLED) if INSTALLED.exists() else None)


def _s3(minio: Server | None) -> Mapping[str, str]:
    if minio is None:
        return {}
    keys = {"AWS_ACCESS_KEY_ID": MINIO["MINIO_ROOT_USER"], "AWS_SECRET_ACCESS_KEY": SECRET}
    return {"S3_ENDPOINT": minio.url, "FEEDBACK_STORE_URL": f"s3://{BUCKET}", **keys}


def _client(minio: Server) -> Any:
    return Minio(f"127.0.0.1:{minio.port}", MINIO["MINIO_ROOT_USER"], SECRET, secure=False)


def _puts(minio: Server) -> Sequence[float]:
    """Return the latencies of single PUTs in milliseconds."""
    client, took, body = _client(minio), [], b"x" * 700
    for number in range(PUTS):
        began = time.perf_counter()
        client.put_object(BUCKET, f"puts/{number}.json", io.BytesIO(body), len(body))
        took.append((time.perf_counter() - began) * 1000)
    return took
