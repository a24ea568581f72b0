"""The feedback service under load and the trigger with a local run, killed as processes."""

import http.client
import json
import os
import signal
import subprocess
import sys
import threading
import time
from collections import Counter
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from pathlib import Path

import pytest

from product_classifier.feedback.records import Correction
from product_classifier.store import open_store
from tests.support.feedback_service_harness import TOKEN, correction_keys, product_correction
from tests.support.retraining_fakes import correct
from tests.support.servers import free_port

pytestmark = pytest.mark.slow

ROOT = Path(__file__).parents[2]
KILLS = int(os.environ.get("PROCESS_KILLS", "3"))
CLIENTS = 8

TRIGGER = """
import sys
from pathlib import Path
from pipelines.retrain.local_launcher import LocalLauncher
from pipelines.retrain.reconcile_loop import ReconcileLoop
from product_classifier.retraining.settings import RetrainSettings
from product_classifier.retraining.trigger import Trigger
from product_classifier.store import open_store
from product_classifier.catalogue.challenge import CHALLENGE

folder = Path(sys.argv[1])
command = lambda run_id, snapshot: ["/bin/sh", "-c", f"echo {run_id} >> {folder}/ran; sleep 1"]
settings = RetrainSettings.model_validate({"min_corrections": 1, "RETRAIN_COOLDOWN": 3600, "lease_s": 1})
trigger = Trigger(open_store(f"file://{folder}/store"), LocalLauncher(folder / "runs", command), settings)
print("ready", flush=True)
ReconcileLoop(trigger, poll_s=0.01, busy_poll_s=0.01).run()
"""


@contextmanager
def service(folder: Path, port: int) -> Iterator[subprocess.Popen[bytes]]:
    environment = os.environ | {
        "FEEDBACK_PORT": str(port),
        "FEEDBACK_INTERNAL_TOKEN": TOKEN,
        "FEEDBACK_STATE_DIR": str(folder),
    }
    process = subprocess.Popen(
        [sys.executable, "-m", "inference.feedback_service"], cwd=ROOT, env=environment, stderr=subprocess.DEVNULL
    )
    try:
        yield process
    finally:
        process.kill()
        process.wait()


def submit(port: int, name: str) -> tuple[int, str]:
    headers = {"X-Internal-Token": TOKEN, "X-Auth-User": "ann", "X-Auth-Role": "user", "Idempotency-Key": name}
    connection = http.client.HTTPConnection("127.0.0.1", port, timeout=5)
    try:
        connection.request(
            "POST", "/feedback", json.dumps(product_correction(name)), headers | {"Content-Type": "application/json"}
        )
        response = connection.getresponse()
        return response.status, json.loads(response.read()).get("feedback_id", "")
    finally:
        connection.close()


class Clients:
    """Submit corrections from several threads, each until it is acknowledged."""

    def __init__(self, port: int) -> None:
        self._port = port
        self._ended = threading.Event()
        self._threads = [threading.Thread(target=self._work, args=(number,)) for number in range(CLIENTS)]
        self.acknowledged: dict[str, str] = {}
        self.statuses: Counter[int] = Counter()
        for thread in self._threads:
            thread.start()

    def wait_for_more(self, more: int) -> None:
        enough = len(self.acknowledged) + more
        while len(self.acknowledged) < enough:
            time.sleep(0.01)

    def stop(self) -> None:
        self._ended.set()
        for thread in self._threads:
            thread.join()

    def _work(self, number: int) -> None:
        for count in range(1_000_000):
            name = f"{number}-{count}"
            while name not in self.acknowledged:
                if self._ended.is_set():
                    return
                try:
                    status, identifier = submit(self._port, name)
                except (OSError, http.client.HTTPException, ValueError):
                    self.statuses[0] += 1
                    time.sleep(0.05)
                    continue
                self.statuses[status] += 1
                self.acknowledged[name] = identifier


def test_a_service_killed_under_load_loses_and_duplicates_nothing(
    tmp_path: Path, record_property: Callable[[str, object], None]
) -> None:
    port = free_port()
    clients = Clients(port)
    for kill in range(KILLS):
        with service(tmp_path, port):
            clients.wait_for_more(20 + 7 * kill)
    with service(tmp_path, port) as process:
        clients.wait_for_more(20)
        clients.stop()
        process.terminate()
        code = process.wait(timeout=20)
    store = open_store(f"file://{tmp_path}/store/product-classifier")
    found = [Correction.from_json(store.get(key), key) for key in correction_keys(store)]
    stored = Counter((item.product.designation, item.feedback_id) for item in found if item.product)
    record_property("injected", KILLS)
    record_property("acknowledged", len(clients.acknowledged))

    assert code == 0
    assert clients.statuses.keys() <= {0, 200, 201}
    assert clients.acknowledged.items() <= stored.keys()
    assert len({name for name, _ in stored}) == len(found)


@pytest.mark.parametrize("triggers", [1, 3])
def test_triggers_that_are_killed_repeatedly_start_one_run(tmp_path: Path, triggers: int) -> None:
    store = open_store(f"file://{tmp_path}/store", create=True)
    correct(store, 1)
    for kill in range(KILLS):
        started = [start_trigger(tmp_path) for _ in range(triggers)]
        time.sleep(0.03 * kill)
        for process in started:
            process.kill()
            process.wait()
            assert process.stdout is not None
            process.stdout.close()
    process = start_trigger(tmp_path)
    try:
        end = time.monotonic() + 30
        while time.monotonic() < end and not list(store.list("retrain/watermark/")):
            time.sleep(0.05)
    finally:
        process.kill()
        process.wait()
        assert process.stdout is not None
        process.stdout.close()
        with suppress(ProcessLookupError):
            for started_file in tmp_path.glob("runs/*/started"):
                os.killpg(int(started_file.read_text()), signal.SIGKILL)

    assert len((tmp_path / "ran").read_text().splitlines()) == 1


def start_trigger(folder: Path) -> subprocess.Popen[bytes]:
    process = subprocess.Popen(
        [sys.executable, "-c", TRIGGER, str(folder)], cwd=ROOT, stdout=subprocess.PIPE, stderr=subprocess.DEVNULL
    )
    assert process.stdout is not None
    process.stdout.readline()
    return process
