"""The whole product as `make run` starts it, on the cores a row gives it."""

import json
import os
import random
import shutil
import socket
import subprocess
import sys
import urllib.parse
import urllib.request
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

from benchmarks import materials
from benchmarks.load import Load
from benchmarks.processes import Server, start, stopping
from operations.local.services import services
from operations.local.settings import Settings

MODELS = ("text-predictor", "image-predictor", "fusion-transformer", "collocated")
"""Whichever of them the settings start."""
UNLIMITED = {"AUTH_PROXY_RATE_LIMIT": "1000000/second"}
"""What one person may ask for is not what is measured."""


@dataclass(frozen=True)
class Stack:
    """Running services by name, and a token for the gateway."""

    servers: Mapping[str, Server]
    token: str

    @property
    def port(self) -> int:
        """Where the gateway answers."""
        return self.servers["auth-proxy"].port

    def cpu_s(self) -> float:
        """Return the CPU seconds all services have used."""
        return sum(server.cpu_s() for server in self.servers.values())

    def by_service(self, run: Callable[[], Load]) -> Mapping[str, str]:
        """Run some load and return the CPU milliseconds a good answer cost each service."""
        before = {name: server.cpu_s() for name, server in self.servers.items()}
        load = run()
        per_answer = 1000 / max(load.answered, 1)
        return {name: f"{(server.cpu_s() - before[name]) * per_answer:.2f}" for name, server in self.servers.items()}

    def memory_mb(self) -> float:
        """Return the memory all services hold."""
        return sum(server.memory_mb() for server in self.servers.values())


@contextmanager
def product(
    folder: Path,
    cores: Sequence[int],
    environment: Mapping[str, str] | None = None,
    only: Sequence[str] = (*MODELS, "auth-proxy"),
    *,
    collocated: bool = False,
) -> Iterator[Stack]:
    """Start services with the benchmark's release in a state folder of their own."""
    folder.mkdir(parents=True, exist_ok=True)
    settings = Settings(port=free_ports(), state_dir=folder, collocated=collocated)
    _put_into_service(materials.release(), settings.releases)
    accounts = folder / "accounts.json"
    state = {"AUTH_PROXY_STATE_DIR": str(folder)}
    command = [sys.executable, "-m", "inference.auth_proxy", "accounts", "--file", str(accounts)]
    subprocess.run(command, check=True, env=os.environ | state, capture_output=True)  # noqa: S603 - our own command
    started: list[Server] = []
    with stopping(started):
        for service in services(settings):
            if service.name in only:
                given = UNLIMITED | dict(service.environment) | dict(environment or {})
                started.append(start(service.name, service.command, service.ports["http"], folder, cores, given))
        for server in started:
            server.wait("/readyz" if server.name in {"auth-proxy", "feedback-service"} else "/v2/health/ready")
        running = {server.name: server for server in started}
        yield Stack(running, token_of(running["auth-proxy"].url, accounts) if "auth-proxy" in running else "")


def free_ports(count: int = 17) -> int:
    """Return the first of so many neighbouring ports nobody listens on."""
    for first in random.sample(range(10_000, 32_000, count), 200):
        if all(_is_free(first + offset) for offset in range(count)):
            return first
    raise OSError(f"no {count} neighbouring ports are free")


def _is_free(port: int) -> bool:
    with socket.socket() as probe:
        return probe.connect_ex(("127.0.0.1", port)) != 0


def _put_into_service(release: Path, releases: Path) -> None:
    name = json.loads((release / "release.json").read_text())["id"]
    releases.mkdir(parents=True, exist_ok=True)
    if not (releases / name).exists():
        shutil.copytree(release, releases / name)
    (releases / "champion").write_text(name)


def token_of(url: str, accounts: Path) -> str:
    """Log the demo user in."""
    password = json.loads(accounts.read_text())["demo-user"]["password"]
    form = urllib.parse.urlencode({"grant_type": "password", "username": "demo-user", "password": password}).encode()
    with urllib.request.urlopen(f"{url}/token", form, timeout=30) as reply:  # noqa: S310 - our own gateway
        return str(json.load(reply)["access_token"])
