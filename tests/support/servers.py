"""Object store servers for tests, a faulty proxy for them, free ports, and the start of a server."""

import http.client
import os
import random
import shutil
import socket
import subprocess
import sys
import tempfile
import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import Any, Literal
from urllib.parse import urlsplit

import httpx

from product_classifier.store import StoreSettings

MINIO_USER = "test-user"
MINIO_PASSWORD = "open-sesame"

Interruption = Literal["refuse", "lose the reply", "cut the reply", "hang"]


def s3_settings(endpoint: str, **changes: Any) -> StoreSettings:
    """Return settings for a server of this module."""
    fixed: dict[str, Any] = {"aws_access_key_id": MINIO_USER, "aws_secret_access_key": MINIO_PASSWORD}
    return StoreSettings(**{"s3_endpoint": endpoint, **fixed, **changes})


def minio_binary() -> str | None:
    """Return the path of a MinIO server: on PATH, MINIO_BINARY, or in the cache of a one-node cluster."""
    cached = Path.home() / ".cache/one-node-cluster/bin/minio"
    return shutil.which("minio") or os.environ.get("MINIO_BINARY") or (str(cached) if cached.exists() else None)


@contextmanager
def moto_server() -> Iterator[str]:
    """Run a moto S3 server in a separate process; yield its URL."""
    port = free_port()
    command = [sys.executable, "-m", "moto.server", "-H", "127.0.0.1", "-p", str(port)]
    with _served(command, port, "/moto-api/") as url:
        yield url


@contextmanager
def minio_server(binary: str) -> Iterator[str]:
    """Run a real MinIO on an empty folder; yield its URL."""
    port = free_port()
    with tempfile.TemporaryDirectory() as folder:
        command = [binary, "server", "--quiet", "--address", f"127.0.0.1:{port}", folder]
        environment = {"MINIO_ROOT_USER": MINIO_USER, "MINIO_ROOT_PASSWORD": MINIO_PASSWORD}
        with _served(command, port, "/minio/health/ready", environment) as url:
            yield url


@contextmanager
def interrupted(target: str, interruptions: list[Interruption], methods: str = "PUT") -> Iterator[str]:
    """Run a proxy that injects a fault into each of the first requests; yield its URL."""
    pending = list(interruptions)

    class Handler(BaseHTTPRequestHandler):
        protocol_version = "HTTP/1.1"

        def relay(self) -> None:
            body = self.rfile.read(int(self.headers.get("Content-Length", 0)))
            fault = pending.pop(0) if pending and self.command in methods.split() else None
            if fault == "refuse":
                self._respond(503, {"Content-Type": "text/plain"}, b"slow down")
                return
            if fault == "hang":
                time.sleep(2)
                self.close_connection = True
                return
            status, headers, content = self._forward(body)
            if fault == "lose the reply":
                self.close_connection = True
                return
            self._respond(status, headers, content, cut=fault == "cut the reply")

        def _forward(self, body: bytes) -> tuple[int, dict[str, str], bytes]:
            connection = http.client.HTTPConnection(str(urlsplit(target).netloc), timeout=10)
            connection.request(self.command, self.path, body, dict(self.headers))
            response = connection.getresponse()
            return response.status, dict(response.getheaders()), response.read()

        def _respond(self, status: int, headers: dict[str, str], content: bytes, *, cut: bool = False) -> None:
            self.send_response(status)
            forwarded = {
                key: value for key, value in headers.items() if key.lower() not in {"connection", "date", "server"}
            }
            if self.command != "HEAD":
                forwarded = {key: value for key, value in forwarded.items() if key.lower() != "transfer-encoding"}
                forwarded["Content-Length"] = str(len(content))
            for key, value in forwarded.items():
                self.send_header(key, value)
            self.end_headers()
            self.wfile.write(content[: len(content) // 2] if cut else content)
            self.close_connection = self.close_connection or cut

        do_GET = do_PUT = do_HEAD = do_DELETE = do_POST = relay  # noqa: N815 - names of http.server

        def log_message(self, *_: object) -> None:
            """Log nothing."""

    server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
    threading.Thread(target=server.serve_forever, daemon=True).start()
    try:
        yield f"http://127.0.0.1:{server.server_port}"
    finally:
        server.shutdown()
        server.server_close()


def free_port() -> int:
    """Return a port on which nothing listens."""
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return int(probe.getsockname()[1])


def free_ports(count: int = 17) -> int:
    """Return the first of `count` consecutive free ports below the ephemeral range."""
    for first in random.sample(range(10_000, 32_000, count), 200):
        if all(_is_free(first + offset) for offset in range(count)):
            return first
    raise RuntimeError(f"no {count} consecutive ports are free")


def _is_free(port: int) -> bool:
    with socket.socket() as probe:
        return probe.connect_ex(("127.0.0.1", port)) != 0


@contextmanager
def _served(command: list[str], port: int, health: str, environment: dict[str, str] | None = None) -> Iterator[str]:
    process = subprocess.Popen(
        command,
        env=os.environ | (environment or {}),
        stdout=subprocess.DEVNULL,
        stderr=subprocess.DEVNULL,
    )
    try:
        _wait_for(port, health, process)
        yield f"http://127.0.0.1:{port}"
    finally:
        process.terminate()
        process.wait(10)


def _wait_for(port: int, health: str, process: subprocess.Popen[bytes]) -> None:
    until = time.monotonic() + 60
    while process.poll() is None and time.monotonic() < until:
        connection = http.client.HTTPConnection("127.0.0.1", port, timeout=2)
        try:
            connection.request("GET", health)
            if connection.getresponse().status < 500:
                return
        except OSError:
            pass
        finally:
            connection.close()
        time.sleep(0.1)
    raise RuntimeError(f"{process.args!r} did not start")


def wait_until_up(client: httpx.Client) -> None:
    """Wait up to 60 s until a server that is starting responds."""
    deadline = time.monotonic() + 60
    while time.monotonic() < deadline:
        try:
            client.get("/healthz")
        except httpx.ConnectError:
            time.sleep(0.05)
        else:
            return
    raise TimeoutError("the server did not start")
