import contextlib
import os
import resource
import socket
import subprocess
import sys
import time
from functools import partial
from pathlib import Path

import httpx

from product_classifier.retraining import RunStore
from product_classifier.store import open_store
from tests.support.servers import free_port


def test_once_takes_the_due_steps_and_logs_them(tmp_path: Path) -> None:
    environment = {"STATE_DIR": str(tmp_path), "PATH": os.environ["PATH"]}
    command = [sys.executable, "-m", "pipelines.retrain", "--once"]
    done = subprocess.run(command, env=environment, capture_output=True, text=True, check=False)

    assert (0, True) == (done.returncode, "step=waiting" in done.stderr)
    assert [] == list(RunStore(open_store((tmp_path / "store" / "product-classifier").as_uri())).results())


def test_invalid_settings_are_reported_with_their_name(tmp_path: Path) -> None:
    environment = {"STATE_DIR": str(tmp_path), "PATH": os.environ["PATH"], "RETRAIN_POLL_S": "0"}
    command = [sys.executable, "-m", "pipelines.retrain", "--once"]
    done = subprocess.run(command, env=environment, capture_output=True, text=True, check=False)

    assert (2, True) == (done.returncode, "RETRAIN_POLL_S: must be " in done.stderr)


def test_idle_connections_do_not_make_the_trigger_unhealthy(tmp_path: Path) -> None:
    port = str(free_port())
    environment = {"STATE_DIR": str(tmp_path), "PATH": os.environ["PATH"], "RETRAIN_PORT": port}
    few = partial(resource.setrlimit, resource.RLIMIT_NOFILE, (64, 256))
    command = [sys.executable, "-m", "pipelines.retrain"]
    with (
        subprocess.Popen(command, env=environment, stderr=subprocess.DEVNULL, preexec_fn=few) as process,  # noqa: PLW1509
        contextlib.ExitStack() as stack,
    ):
        try:
            wait_for_healthz(port)
            for _ in range(400):
                stack.enter_context(socket.create_connection(("127.0.0.1", int(port))))
            statuses = [healthz(port) for _ in range(20)]
        finally:
            process.terminate()
            process.wait(timeout=20)

    assert [200] * 20 == statuses


def healthz(port: str) -> int:
    return httpx.get(f"http://127.0.0.1:{port}/healthz", trust_env=False, verify=False, timeout=20).status_code


def wait_for_healthz(port: str) -> None:
    deadline = time.monotonic() + 60
    while time.monotonic() < deadline:
        with contextlib.suppress(httpx.ConnectError):
            healthz(port)
            return
        time.sleep(0.1)
    raise TimeoutError("the trigger did not start")
