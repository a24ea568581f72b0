"""Services of a local run are killed, stopped and terminated; the run is killed or not read."""

import json
import os
import re
import signal
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path

import httpx
import psutil
import pytest

from operations.local.service_table import services
from operations.local.settings import Settings
from product_classifier.releases.release import Release
from tests.support.servers import free_ports
from tests.support.tiny_release import make_release

pytestmark = [pytest.mark.slow, pytest.mark.xdist_group("make run")]

ALL = os.environ.get("SERVICE_SIGNALS") == "all"
"""Whether every service gets every signal, which takes some minutes."""
longer = pytest.mark.skipif(not ALL, reason="needs SERVICE_SIGNALS=all")
SIGNALS = (signal.SIGKILL, signal.SIGTERM, signal.SIGSTOP)
SERVICES = [service.name for service in services(Settings())]
ROOT = Path(__file__).parents[2]


class LocalRun:
    """`python -m operations.local` with a release, its output in a file."""

    def __init__(self, folder: Path, port: int, stdout: int | None = None) -> None:
        self.folder, self.port, self.url = folder, port, f"http://127.0.0.1:{port}"
        self.log = folder / "run.log"
        environment = os.environ | {"PORT": str(port), "STATE_DIR": str(folder), "LOG_FORMAT": ""}
        with self.log.open("wb") as log:
            self.process = subprocess.Popen(
                [sys.executable, "-m", "operations.local"],
                cwd=ROOT,
                env=environment,
                stdin=subprocess.DEVNULL,
                stdout=log if stdout is None else stdout,
                stderr=subprocess.STDOUT,
            )

    @property
    def output(self) -> str:
        return self.log.read_text(errors="replace")

    def wait_for(self, condition: Callable[[], object], within_s: float = 120) -> None:
        end = time.monotonic() + within_s
        while not condition():
            assert time.monotonic() < end, self.output[-5000:]
            assert self.process.poll() is None, self.output[-5000:]
            time.sleep(0.05)

    def wait_until_ready(self) -> None:
        self.wait_for(lambda: "services_ready" in self.output)

    def service(self, name: str) -> psutil.Process:
        """Return the process of a service; `nice` has replaced itself by Python."""
        others = {"retrain-trigger": "pipelines.retrain", "monitoring": "pipelines"}
        module = others.get(name, f"inference.{name.replace('-', '_')}")
        [found] = [child for child in psutil.Process(self.process.pid).children() if module in child.cmdline()[1:3]]
        return found

    def is_ready(self) -> bool:
        try:
            return httpx.get(f"{self.url}/readyz", trust_env=False, verify=False, timeout=5).status_code == 200
        except httpx.HTTPError:
            return False

    def responds(self, name: str) -> bool:
        """Whether a service responds that it is ready."""
        [service] = [one for one in services(Settings(port=self.port)) if one.name == name]
        path = service.health.path.replace("live", "ready") if service.health else ""
        try:
            url = f"http://127.0.0.1:{service.ports['http']}{path}"
            return httpx.get(url, trust_env=False, verify=False, timeout=5).is_success
        except httpx.HTTPError:
            return False

    def predicts(self) -> bool:
        """Whether a prediction is complete."""
        try:
            response = self.predict()
        except (httpx.HTTPError, KeyError):
            return False
        return response.is_success and not response.json()["degraded"]

    def predict(self) -> httpx.Response:
        account = json.loads((self.folder / "accounts.json").read_text())["demo-user"]
        with httpx.Client(base_url=self.url, trust_env=False, verify=False, timeout=20) as client:
            login = {"username": "demo-user", "password": account["password"]}
            token = client.post("/token", data=login).json()["access_token"]
            return client.post(
                "/predict", json={"designation": "Piscine"}, headers={"Authorization": f"Bearer {token}"}
            )


def add_release(folder: Path) -> Release:
    """Make a release the champion of a state folder."""
    (folder / "releases").mkdir(parents=True)
    release = make_release(folder / "releases", 1)
    (folder / "releases" / "champion").write_text(f"{release.id}\n")
    return release


@contextmanager
def running(state_dir: Path, stdout: int | None = None) -> Iterator[LocalRun]:
    run = LocalRun(state_dir, free_ports(), stdout)
    try:
        yield run
    finally:
        run.process.terminate()
        run.process.wait(60)


@pytest.fixture(scope="module")
def run(tmp_path_factory: pytest.TempPathFactory) -> Iterator[LocalRun]:
    folder = tmp_path_factory.mktemp("signalled")
    add_release(folder)
    with running(folder) as started:
        started.wait_until_ready()
        yield started


@pytest.mark.parametrize(
    ("name", "number"),
    [(name, number) for name in SERVICES for number in SIGNALS] if ALL else [("fusion-transformer", signal.SIGKILL)],
)
def test_a_service_is_back_after_a_signal_and_the_others_are_not_touched(
    run: LocalRun, name: str, number: signal.Signals, record_property: Callable[[str, object], None]
) -> None:
    before = {one: run.service(one).pid for one in SERVICES}
    os.kill(before[name], number)
    run.wait_for(lambda: not psutil.pid_exists(before[name]))
    ended_s = time.monotonic()
    run.wait_for(lambda: run.responds(name))
    record_property("seconds to respond", round(time.monotonic() - ended_s, 1))
    record_property("CPU seconds to respond", sum(run.service(name).cpu_times()[:2]))
    run.wait_for(run.predicts)
    record_property("seconds to predict", round(time.monotonic() - ended_s, 1))

    assert {name} == {one for one in SERVICES if before[one] != run.service(one).pid}


def test_a_second_run_on_the_same_ports_names_the_port_and_the_process(run: LocalRun, tmp_path: Path) -> None:
    second = LocalRun(tmp_path, run.port)

    assert 1 == second.process.wait(60)
    [line] = second.output.splitlines()
    assert f"{run.port} (auth-proxy http) by process {run.service('auth-proxy').pid}, " in line
    assert "make run PORT=" in line


def test_services_and_their_processes_end_with_a_run_that_is_killed(tmp_path: Path) -> None:
    add_release(tmp_path)
    with running(tmp_path) as run:
        run.wait_until_ready()
        processes = psutil.Process(run.process.pid).children(recursive=True)
        stopped = run.service("text-predictor")
        stopped.suspend()
        run.wait_for(lambda: stopped.status() == psutil.STATUS_STOPPED)
        run.process.kill()
        _, alive = psutil.wait_procs(processes, timeout=30)

    assert len(processes) >= len(SERVICES)
    assert [] == alive


@longer
def test_a_run_whose_output_is_not_read_responds(tmp_path: Path) -> None:
    add_release(tmp_path)
    reader, writer = os.pipe()
    with running(tmp_path, stdout=writer) as run:
        run.wait_for(run.is_ready)
        with httpx.Client(base_url=run.url, trust_env=False, verify=False) as client:
            statuses = {client.get(f"/{number}").status_code for number in range(3000)}
        assert {404} == statuses
        assert 200 == run.predict().status_code
    os.close(reader)
    os.close(writer)

    assert 0 == run.process.returncode


def test_a_run_whose_release_is_refused_ends_and_says_what_to_do(tmp_path: Path) -> None:
    release = add_release(tmp_path)
    model = max((tmp_path / "releases" / release.id / "text").iterdir(), key=lambda path: path.stat().st_size)
    model.write_bytes(model.read_bytes()[:-1] + b"x")
    with running(tmp_path) as run:
        assert 1 == run.process.wait(120)

    [error] = re.findall(r"^error: .*", run.output, re.MULTILINE)
    assert re.search(rf"(text-predictor|fusion-transformer) refuses release {release.id}: ", error)
    assert "bundle_refused" in error
    assert "pipelines rollback" in error


@longer
def test_a_release_that_is_damaged_while_it_is_served_stops_its_service_only(tmp_path: Path) -> None:
    release = add_release(tmp_path)
    model = max((tmp_path / "releases" / release.id / "image").iterdir(), key=lambda path: path.stat().st_size)
    content = model.read_bytes()
    with running(tmp_path) as run:
        run.wait_until_ready()
        model.write_bytes(content[:-1])
        run.service("image-predictor").kill()
        run.wait_for(lambda: "service_failed process=image-predictor" in run.output)
        time.sleep(1)
        starts = run.output.count("service_started process=image-predictor")
        response = run.predict()
        model.write_bytes(content)
        (tmp_path / "releases" / "champion").write_text(f"{release.id}\n")
        run.wait_for(lambda: run.responds("image-predictor"))

    assert 2 == starts
    assert 200 == response.status_code
