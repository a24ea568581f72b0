"""Run model servers in separate processes on free ports."""

import os
import signal
import subprocess
import sys
import time
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path

import httpx

from tests.support.servers import free_port

ROOT = Path(__file__).parents[2]
MODULES = {
    "text-predictor": "text_predictor",
    "image-predictor": "image_predictor",
    "fusion-transformer": "fusion_transformer",
}
COLLOCATED = {"collocated": "collocated"}


@dataclass
class RunningServer:
    """A model server process and its ports."""

    name: str
    http: int
    grpc: int
    log: Path
    process: subprocess.Popen[bytes] = field(repr=False)

    @property
    def url(self) -> str:
        return f"http://127.0.0.1:{self.http}"

    @property
    def infer(self) -> str:
        return f"{self.url}/v2/models/{self.name}/infer"

    @property
    def predict(self) -> str:
        return f"{self.url}/v1/models/{self.name}:predict"

    def stop(self) -> int:
        self.process.send_signal(signal.SIGTERM)
        return self.process.wait(30)

    def logged(self) -> str:
        return self.log.read_text()


def launch(
    name: str, model_dir: Path, log: Path, *options: str, environment: Mapping[str, str] | None = None, http: int = 0
) -> RunningServer:
    """Start a model server without waiting until it is ready."""
    http, grpc = http or free_port(), free_port()
    command = [
        sys.executable,
        "-m",
        f"inference.{(MODULES | COLLOCATED)[name]}",
        "--model_dir",
        str(model_dir),
        "--host",
        "127.0.0.1",
    ]
    command += ["--http_port", str(http), "--grpc_port", str(grpc), "--poll_s", "0.05", *options]
    with log.open("wb") as out:
        process = subprocess.Popen(
            command, cwd=ROOT, env=os.environ | {"LOG_FORMAT": "json"} | dict(environment or {}), stdout=out, stderr=out
        )
    return RunningServer(name, http, grpc, log, process)


@contextmanager
def served(
    names: list[str], model_dir: Path, logs: Path, *options: str, environment: Mapping[str, str] | None = None
) -> Iterator[dict[str, RunningServer]]:
    """Run model servers; a fusion transformer among them calls the others."""
    running: dict[str, RunningServer] = {}
    try:
        for name in sorted(
            names, reverse=True
        ):  # the fusion transformer last, because it needs the ports of the others
            given = dict(environment or {})
            if name == "fusion-transformer":
                given = {"FUSION_TEXT_URL": unused_url(), "FUSION_IMAGE_URL": unused_url()} | given
                given |= {f"FUSION_{one.split('-')[0].upper()}_URL": running[one].url for one in running}
            log = logs / f"{name}-{len(list(logs.iterdir()))}.log"
            running[name] = launch(name, model_dir, log, *options, environment=given)
        running = {name: running[name] for name in sorted(running)}
        for server in running.values():
            wait_until_ready(server)
        yield running
    finally:
        for server in running.values():
            server.process.kill()
            server.process.wait()


def wait_until_ready(server: RunningServer, seconds: float = 60) -> None:
    until = time.monotonic() + seconds
    while time.monotonic() < until and server.process.poll() is None:
        try:
            if httpx.get(f"{server.url}/v2/health/ready").status_code == 200:
                return
        except httpx.TransportError:
            time.sleep(0.05)
    raise RuntimeError(f"{server.name} did not become ready:\n{server.logged()}")


def unused_url() -> str:
    """Return a URL with a port on which nothing listens."""
    return f"http://127.0.0.1:{free_port()}"
