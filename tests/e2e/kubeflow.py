"""A way to the API of Kubeflow Pipelines in the current context, which outlives the pods behind it."""

import socket
import subprocess
import threading
from collections.abc import Iterator
from contextlib import contextmanager

NAMESPACE = "kubeflow"
SERVICE = "service/ml-pipeline"
PORT = 8888
ENDPOINT = f"http://ml-pipeline.{NAMESPACE}.svc.cluster.local:{PORT}"


@contextmanager
def lasting() -> Iterator[str]:
    """Yield the API's address on this machine, always the same: a connection that breaks is made again."""
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
