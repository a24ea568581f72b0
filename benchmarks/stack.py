"""Run the services as `make run` does, pinned to given cores."""

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
from operations.local.service_table import services
from operations.local.settings import Settings
from product_classifier.model_names import MODELS

MODEL_SERVICES = (*MODELS, "collocated")
"""Model services; the settings decide which of them run."""
UNLIMITED = {"AUTH_PROXY_RATE_LIMIT": "1000000/second"}
"""Disables the rate limit, which is not measured."""


@dataclass(frozen=True)
class RunningServices:
    """Running services by name and an access token for the gateway."""

    servers: Mapping[str, Server]
    token: str

    @property
    def port(self) -> int:
        """Port of the gateway."""
        return self.servers["auth-proxy"].port

    def cpu_s(self) -> float:
        """Return the CPU seconds used by all services."""
        return sum(server.cpu_s() for server in self.servers.values())

    def cpu_by_service(self, run: Callable[[], Load]) -> Mapping[str, str]:
        """Run a load and return CPU milliseconds per 2xx response for each service."""
        before = {name: server.cpu_s() for name, server in self.servers.items()}
        load = run()
        per_response = 1000 / max(load.answered, 1)
        return {name: f"{(server.cpu_s() - before[name]) * per_response:.2f}" for name, server in self.servers.items()}

    def memory_mb(self) -> float:
        """Return the memory of all services in MiB."""
        return sum(server.memory_mb() for server in self.servers.values())


@contextmanager
def running_product(
    folder: Path,
    cores: Sequence[int],
    environment: Mapping[str, str] | None = None,
    only: Sequence[str] = (*MODEL_SERVICES, "auth-proxy"),
    *,
    collocated: bool = False,
) -> Iterator[RunningServices]:
    """Start services with the benchmark release in a separate state folder."""
    folder.mkdir(parents=True, exist_ok=True)
    settings = Settings(port=free_ports(), state_dir=folder, collocated=collocated)
    _deploy_release(materials.release(), settings.releases)
    accounts = folder / "accounts.json"
    state = {"AUTH_PROXY_STATE_DIR": str(folder)}
    command = [sys.executable, "-m", "inference.auth_proxy", "accounts", "--file", str(accounts)]
    subprocess.run(command, check=True, env=os.environ | state, capture_output=True)  # noqa: S603 - a fixed command
    started: list[Server] = []
    with stopping(started):
        for service in services(settings):
            if service.name in only:
                given = UNLIMITED | dict(service.environment) | dict(environment or {})
                started.append(start(service.name, service.command, service.ports["http"], folder, cores, given))
        for server in started:
            server.wait("/readyz" if server.name in {"auth-proxy", "feedback-service"} else "/v2/health/ready")
        running = {server.name: server for server in started}
        yield RunningServices(running, token_of(running["auth-proxy"].url, accounts) if "auth-proxy" in running else "")


def free_ports(count: int = 17) -> int:
    """Return the first of `count` consecutive free ports."""
    for first in random.sample(range(10_000, 32_000, count), 200):
        if all(_is_free(first + offset) for offset in range(count)):
            return first
    raise OSError(f"no {count} consecutive ports are free")


def _is_free(port: int) -> bool:
    with socket.socket() as probe:
        return probe.connect_ex(("127.0.0.1", port)) != 0


def _deploy_release(release: Path, releases: Path) -> None:
    name = json.loads((release / "release.json").read_text())["id"]
    releases.mkdir(parents=True, exist_ok=True)
    if not (releases / name).exists():
        shutil.copytree(release, releases / name)
    (releases / "champion").write_text(name)


def token_of(url: str, accounts: Path, name: str = "demo-user") -> str:
    """Return an access token of a demo account."""
    password = json.loads(accounts.read_text())[name]["password"]
    form = urllib.parse.urlencode({"grant_type": "password", "username": name, "password": password}).encode()
    with urllib.request.urlopen(f"{url}/token", form, timeout=30) as reply:  # noqa: S310 - the local gateway
        return str(json.load(reply)["access_token"])
