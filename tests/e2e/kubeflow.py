"""A port forward to the API of Kubeflow Pipelines that reconnects when its pod is replaced."""

import socket
import subprocess
import threading
from collections.abc import Iterator
from contextlib import contextmanager

import pytest

from pipelines.kubeflow.submit import connect
from product_classifier.errors import LauncherUnavailable
from tests.e2e.cluster import Object, get, listed

NAMESPACE = "kubeflow"
SERVICE = "service/ml-pipeline"
PORT = 8888
ENDPOINT = f"http://ml-pipeline.{NAMESPACE}.svc.cluster.local:{PORT}"


@contextmanager
def forwarded_api() -> Iterator[str]:
    """Yield the local URL of the API; a broken forward is restarted on the same port."""
    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        port = free.getsockname()[1]
    forward = _Forward(port)
    thread = threading.Thread(target=forward.run)
    thread.start()
    try:
        yield f"http://127.0.0.1:{port}"
    finally:
        forward.stop()
        thread.join()


class _Forward:
    def __init__(self, port: int) -> None:
        self._command = ["kubectl", "--namespace", NAMESPACE, "port-forward", SERVICE, f"{port}:{PORT}"]
        self._stopped = threading.Event()
        self._process: subprocess.Popen[bytes] | None = None

    def run(self) -> None:
        while not self._stopped.is_set():
            with subprocess.Popen(self._command, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL) as self._process:
                pass
            self._stopped.wait(0.5)

    def stop(self) -> None:
        self._stopped.set()
        if self._process is not None:
            self._process.terminate()


def is_reachable(url: str) -> bool:
    try:
        connect(url, "kubeflow")
    except LauncherUnavailable:
        return False
    return True


def trigger_environment() -> dict[str, str]:
    deployment: Object = get("deployment/retrain-trigger")
    if not deployment:
        pytest.skip("deployment/retrain-trigger is not deployed; the tests read addresses from it")
    (container,) = deployment["spec"]["template"]["spec"]["containers"]
    return {one["name"]: one["value"] for one in container["env"] if "value" in one}


def executors(run_id: str) -> dict[str, str]:
    """Return the phase of each step's executor; "Skipped" if the step was taken from the cache."""
    found = listed("workflows.argoproj.io", f"--selector=pipeline/runid={run_id}", namespace=NAMESPACE)
    nodes = found[0].get("status", {}).get("nodes", {}).values() if found else ()
    executors_of_run = [node for node in nodes if node["displayName"] == "executor"]
    return {node["name"].split(".")[-2]: node["phase"] for node in executors_of_run}


def attempts(run_id: str) -> list[str]:
    """Return the phase of each executor pod."""
    (found,) = listed("workflows.argoproj.io", f"--selector=pipeline/runid={run_id}", namespace=NAMESPACE)
    nodes = [node for node in found["status"]["nodes"].values() if node["displayName"].startswith("executor(")]
    return [node["phase"] for node in nodes if node["type"] == "Pod"]
