"""The whole product as processes on free ports, with a release of random weights."""

import os
import subprocess
import sys
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path

import httpx
import orjson

from tests.support.model_servers import MODULES, ROOT, RunningServer, served
from tests.support.servers import free_port, wait_until_up
from tests.support.tiny_release import make_release

TOKEN = "t" * 40


@dataclass
class RunningProduct:
    """The processes of a product, and a client that is logged in as `demo-admin`."""

    state: Path
    logs: Path
    models: dict[str, RunningServer]
    metrics: dict[str, str]
    """URL of the metrics by service."""
    processes: dict[str, subprocess.Popen[bytes]] = field(default_factory=dict)
    client: httpx.Client = field(default_factory=httpx.Client)

    def log_lines(self, service: str) -> list[dict[str, object]]:
        """Return the events that a service has logged."""
        path = self.models[service].log if service in self.models else self.logs / f"{service}.log"
        return [orjson.loads(line) for line in path.read_bytes().splitlines()]

    def process(self, service: str) -> subprocess.Popen[bytes]:
        return self.models[service].process if service in self.models else self.processes[service]


@contextmanager
def running_product(folder: Path, environment: Mapping[str, str] | None = None) -> Iterator[RunningProduct]:
    """Run every service with its state below `folder`; logs are JSON."""
    given = {"LOG_FORMAT": "json", **(environment or {})}
    state, logs = folder / "state", folder / "logs"
    for path in (state, logs, folder / "model-logs"):
        path.mkdir(parents=True)
    release = make_release(folder / "releases", 1)
    store = f"file://{folder}/store/product-classifier"
    (folder / "store/product-classifier").mkdir(parents=True)
    with served(list(MODULES), release.path, folder / "model-logs", environment=given) as models:
        gateway, metrics, feedback, trigger = (free_port() for _ in range(4))
        product = RunningProduct(
            state,
            logs,
            models,
            {
                "auth-proxy": f"http://127.0.0.1:{metrics}/metrics",
                "feedback-service": f"http://127.0.0.1:{feedback}/metrics",
                "retrain-trigger": f"http://127.0.0.1:{trigger}/metrics",
                **{name: f"{server.url}/metrics" for name, server in models.items()},
            },
        )
        commands = {
            "feedback-service": ("inference.feedback_service", {
                "FEEDBACK_PORT": str(feedback), "FEEDBACK_INTERNAL_TOKEN": TOKEN, "FEEDBACK_STATE_DIR": str(state),
                "FEEDBACK_STORE_URL": store, "FEEDBACK_TRIGGER_URL": f"http://127.0.0.1:{trigger}",
            }),
            "retrain-trigger": ("pipelines.retrain", {
                "RETRAIN_PORT": str(trigger), "RETRAIN_TOKEN": TOKEN, "RETRAIN_POLL_S": "0.5", "STORE_URL": store,
                "STATE_DIR": str(state), "RETRAIN_MIN_CORRECTIONS": "1000",
            }),
            "auth-proxy": ("inference.auth_proxy", {
                "AUTH_PROXY_PORT": str(gateway), "AUTH_PROXY_METRICS_PORT": str(metrics),
                "AUTH_PROXY_STATE_DIR": str(state), "AUTH_PROXY_STORE_URL": store,
                "AUTH_PROXY_ACCOUNTS_FILE": str(state / "accounts.json"), "AUTH_PROXY_INTERNAL_TOKEN": TOKEN,
                "AUTH_PROXY_FEEDBACK_URL": f"http://127.0.0.1:{feedback}",
                **{f"AUTH_PROXY_{name.split('-')[0].upper()}_URL": server.url for name, server in models.items()},
            }),
        }  # fmt: skip
        try:
            for name, (module, variables) in commands.items():
                with (logs / f"{name}.log").open("wb") as log:
                    product.processes[name] = subprocess.Popen(
                        [sys.executable, "-m", module], cwd=ROOT, env=os.environ | given | variables, stderr=log
                    )
            for port in (feedback, trigger, gateway):
                with httpx.Client(base_url=f"http://127.0.0.1:{port}") as client:
                    wait_until_up(client)
            product.client = _logged_in(f"http://127.0.0.1:{gateway}", state / "accounts.json")
            yield product
        finally:
            product.client.close()
            for process in product.processes.values():
                process.kill()
                process.wait()


def _logged_in(url: str, accounts: Path) -> httpx.Client:
    client = httpx.Client(base_url=url, timeout=30)
    password = orjson.loads(accounts.read_bytes())["demo-admin"]["password"]
    token = client.post("/token", data={"username": "demo-admin", "password": password}).json()["access_token"]
    client.headers["Authorization"] = f"Bearer {token}"
    return client
