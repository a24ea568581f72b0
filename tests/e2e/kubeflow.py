"""A way to the API of Kubeflow Pipelines in the current context, which outlives the pods behind it."""

import json
import socket
import subprocess
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

NAMESPACE = "kubeflow"
SERVICE = "service/ml-pipeline"
PORT = 8888


def kubectl(*words: str) -> str:
    """Run kubectl in Kubeflow's namespace; return what it says."""
    command = ["kubectl", "--namespace", NAMESPACE, *words]
    return subprocess.run(command, check=True, capture_output=True, text=True, timeout=120).stdout


def found(*words: str) -> Any:
    """Return an object of the cluster; None when it, or the cluster, is not there."""
    command = ["kubectl", "--request-timeout", "10s", "get", *words, "--output", "json", "--ignore-not-found"]
    try:
        done = subprocess.run(command, check=False, capture_output=True, text=True, timeout=30)
    except (OSError, subprocess.TimeoutExpired):
        return None
    return json.loads(done.stdout) if done.returncode == 0 and done.stdout else None


@contextmanager
def forwarded() -> Iterator[str]:
    """Yield the API's address on this machine; a connection that breaks is made again."""
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
