"""Tests that the supervisor starts, restarts and stops services in a separate process."""

import json
import os
import re
import signal
import socket
import subprocess
import sys
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path

import psutil
import pytest

from operations.local.liveness import MISSES, REFUSALS, LivenessMonitor, Outcome, send_request
from operations.local.service_table import HealthCheck, Service
from tests.support.servers import free_port

pytestmark = pytest.mark.slow

MISSED, REFUSED, RESPONDED = Outcome.MISSED, Outcome.REFUSED, Outcome.RESPONDED

RUNNER = """
import json, sys, threading
from pathlib import Path
from operations.local.output import OutputMultiplexer
from operations.local.service_table import HealthCheck, Service
from operations.local import liveness, supervisor
from product_classifier.observability import configure_logging, open_log_stream

stdout = open_log_stream("local", 1)
configure_logging("local", to=stdout)
folder = Path(sys.argv[1])
services = [
    Service(
        name,
        tuple(command),
        {"http": int(environment["PORT"])} if "PORT" in environment else {},
        environment,
        HealthCheck("/") if "PORT" in environment else None,
        folder / "champion",
    )
    for name, command, environment in json.loads(sys.argv[2])
]
liveness.PERIOD_S, liveness.DEADLINE_S, liveness.SUSPENDED_S = 0.1, 0.4, 0.4
supervisor.POLL_S = 0.05
for default, value in {"startretries = 4": "startretries = 1", "startsecs = 2": "startsecs = 1"}.items():
    supervisor.PROGRAM = supervisor.PROGRAM.replace(default, value)
run = supervisor.ServiceSupervisor(services, folder, OutputMultiplexer(as_json=False, to=stdout))
if sys.argv[3] == "1":
    threading.Timer(2, setattr, (run._options, "mood", None)).start()  # makes the library raise
run.run()
"""

SLEEPING = [sys.executable, "-c", "import os, time; print('I am', os.getpid(), flush=True); time.sleep(60)"]


class SupervisorProcess:
    """A supervisor in a separate process, and its output so far."""

    def __init__(self, process: "subprocess.Popen[str]") -> None:
        self.process = process
        self.output = ""
        self._changed = threading.Condition()
        threading.Thread(target=self._read, daemon=True).start()

    def wait_for(self, pattern: str, count: int = 1, within_s: float = 30) -> list[str]:
        with self._changed:
            found = self._changed.wait_for(lambda: len(re.findall(pattern, self.output)) >= count, within_s)
        assert found, f"{pattern!r} not in:\n{self.output}"
        return re.findall(pattern, self.output)

    def stop_reading(self) -> None:
        assert self.process.stdout
        os.dup2(os.open(os.devnull, os.O_RDONLY), self.process.stdout.fileno())

    def _read(self) -> None:
        assert self.process.stdout
        for line in self.process.stdout:
            with self._changed:
                self.output += line
                self._changed.notify_all()


def start(
    folder: Path, *services: tuple[str, list[str], dict[str, str]], failing: bool = False
) -> "subprocess.Popen[str]":
    return subprocess.Popen(
        [sys.executable, "-c", RUNNER, str(folder), json.dumps(services), str(int(failing))],
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        text=True,
    )


@contextmanager
def supervised(
    folder: Path, *services: tuple[str, list[str], dict[str, str]], failing: bool = False
) -> Iterator[SupervisorProcess]:
    process = start(folder, *services, failing=failing)
    try:
        yield SupervisorProcess(process)
    finally:
        process.terminate()
        process.wait(30)


def test_a_killed_service_is_restarted(tmp_path: Path) -> None:
    with supervised(tmp_path, ("sleeping", SLEEPING, {}), ("other", SLEEPING, {})) as run:
        [first] = run.wait_for(r"output  sleeping I am (\d+)")
        os.kill(int(first), signal.SIGKILL)
        both = run.wait_for(r"output  sleeping I am (\d+)", 2)

        assert 2 == len(set(both))
        assert "service_exited process=sleeping" in run.output
        assert "service_exited process=other" not in run.output


@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGTERM, signal.SIGHUP])
def test_a_signal_stops_all_services_with_status_0(tmp_path: Path, number: signal.Signals) -> None:
    with supervised(tmp_path, ("first", SLEEPING, {}), ("last", SLEEPING, {})) as run:
        pids = run.wait_for(r"I am (\d+)", 2)
        run.process.send_signal(number)

        assert 0 == run.process.wait(30)
        run.wait_for("service_stopped process=first")
        assert run.output.index("service_stopped process=last") < run.output.index("service_stopped process=first")
        for pid in pids:
            with pytest.raises(ProcessLookupError):
                os.kill(int(pid), 0)


PRINTING = [
    sys.executable,
    "-c",
    "import os, time\nwhile True: print('I am', os.getpid(), flush=True); time.sleep(0.1)",
]


def test_the_run_ends_when_standard_output_is_closed(tmp_path: Path) -> None:
    with supervised(tmp_path, ("printing", PRINTING, {}), ("sleeping", SLEEPING, {})) as run:
        run.wait_for("output  sleeping I am")
        pids = set(run.wait_for(r"I am (\d+)", 2))
        run.stop_reading()
        run.process.wait(30)

        assert all(has_ended(int(pid)) for pid in pids)


FLOODING = [
    sys.executable,
    "-c",
    "import sys\nfor number in range(200_000): print(number, 'x' * 90)\nopen(sys.argv[1], 'w').close()\ninput()",
]


def test_services_continue_while_nothing_reads_the_output_of_the_run(tmp_path: Path) -> None:
    done = tmp_path / "done"
    run = start(tmp_path, ("flooding", [*FLOODING, str(done)], {}))
    try:
        assert happens(done.exists)
    finally:
        run.terminate()
        assert 0 == run.wait(30)


def test_a_failing_supervisor_terminates_its_services(tmp_path: Path) -> None:
    with supervised(tmp_path, ("first", SLEEPING, {}), ("last", SLEEPING, {}), failing=True) as run:
        pids = run.wait_for(r"I am (\d+)", 2)

        assert 0 != run.process.wait(30)
        assert all(has_ended(int(pid)) for pid in pids)


def has_ended(pid: int) -> bool:
    return happens(lambda: not psutil.pid_exists(pid))


def happens(condition: Callable[[], bool], within_s: float = 30) -> bool:
    until = time.monotonic() + within_s
    while not condition() and time.monotonic() < until:
        time.sleep(0.05)
    return condition()


def test_paths_and_values_may_contain_any_character(tmp_path: Path) -> None:
    folder = tmp_path / "a %(x)s 'folder', \"quoted\"; #1"
    folder.mkdir()
    odd = "a \"b\" 'c' \\ , = %d %(here)s ; é"
    command = [sys.executable, "-c", "import os, sys; print(os.environ['ODD'] == sys.argv[1], flush=True)", odd]
    with supervised(folder, ("odd", command, {"ODD": odd})) as run:
        run.wait_for("output  odd True")


def test_a_service_that_never_starts_is_reported_and_the_others_run(tmp_path: Path) -> None:
    with supervised(
        tmp_path, ("broken", [sys.executable, "-c", "raise SystemExit('no')"], {}), ("healthy", SLEEPING, {})
    ) as run:
        run.wait_for("service_failed process=broken", within_s=60)

        assert "output  broken no" in run.output
        assert "service_exited process=healthy" not in run.output


RESPONDER = """
import http.server, os

class Handler(http.server.BaseHTTPRequestHandler):
    def do_GET(self):
        self.send_response(503)
        self.end_headers()

    def log_message(self, *_):
        pass

server = http.server.HTTPServer(("127.0.0.1", int(os.environ["PORT"])), Handler)
print("I am", os.getpid(), flush=True)
server.serve_forever()
"""
RESPONDING = [sys.executable, "-c", RESPONDER]


def test_a_service_that_hangs_is_killed_and_restarted(tmp_path: Path) -> None:
    services = [("hanging", RESPONDING, {"PORT": str(free_port())}), ("other", RESPONDING, {"PORT": str(free_port())})]
    with supervised(tmp_path, *services) as run:
        [first] = run.wait_for(r"output  hanging I am (\d+)")
        run.wait_for("output  other I am")
        os.kill(int(first), signal.SIGSTOP)
        both = run.wait_for(r"output  hanging I am (\d+)", 2)

        assert first != both[1]
        assert "service_hung process=hanging" in run.output
        assert "process=other reason" not in run.output


def test_a_machine_that_was_suspended_restarts_nothing(tmp_path: Path) -> None:
    services = [(name, RESPONDING, {"PORT": str(free_port())}) for name in ("first", "second")]
    with supervised(tmp_path, *services) as run:
        pids = [*map(int, run.wait_for(r"I am (\d+)", 2)), run.process.pid]
        for pid in reversed(pids):
            os.kill(pid, signal.SIGSTOP)
        time.sleep(3)
        for pid in reversed(pids):  # the supervisor first
            os.kill(pid, signal.SIGCONT)
            time.sleep(0.1)
        time.sleep(1)

        assert "service_hung" not in run.output
        assert 2 == len(re.findall("I am", run.output))


@pytest.mark.parametrize(
    ("outcomes", "hung"),
    [
        ([(MISSED, 0.5)] * (MISSES - 1), False),
        ([(MISSED, 0.5)] * MISSES, True),
        ([*[(MISSED, 0.5)] * (MISSES - 1), (RESPONDED, 0.1), (MISSED, 0.5)], False),
        ([*[(MISSED, 0.5)] * (MISSES - 1), (MISSED, 3600), (MISSED, 0.5)], False),
        ([(MISSED, 3600)] * MISSES, False),
        ([(REFUSED, 1)] * (REFUSALS - 1), False),
        ([(REFUSED, 1)] * REFUSALS, True),
    ],
)
def test_only_consecutive_missing_responses_show_that_a_service_hangs(
    outcomes: list[tuple[Outcome, float]], hung: bool
) -> None:
    service = Service("x", (), {}, {}, HealthCheck("/"))
    monitor = LivenessMonitor([service])
    for outcome, took_s in outcomes:
        monitor.record("x", outcome, took_s)

    assert hung == monitor.is_hung("x")

    monitor.process_started("x")

    assert not monitor.is_hung("x")


def test_a_health_check_distinguishes_no_response_a_refusal_and_an_error(tmp_path: Path) -> None:
    with socket.create_server(("127.0.0.1", 0)) as silent, socket.socket() as closed:
        closed.bind(("127.0.0.1", 0))
        ports = [silent.getsockname()[1], closed.getsockname()[1]]
        found = [send_request(Service("x", (), {"http": port}, {}, HealthCheck("/")), 0.2) for port in ports]
    port = free_port()
    with supervised(tmp_path, ("x", RESPONDING, {"PORT": str(port)})) as run:
        run.wait_for("I am")
        checks = [HealthCheck("/"), HealthCheck("/", must_succeed=True)]
        found += [send_request(Service("x", (), {"http": port}, {}, check), 5) for check in checks]

    assert [MISSED, REFUSED, RESPONDED, MISSED] == found


REFUSER = """
import pathlib, sys, time
if pathlib.Path(sys.argv[1], "champion").read_text() == "good":
    print("serving", flush=True)
    time.sleep(60)
print("bundle_refused reason=a wrong hash", flush=True)
sys.exit(78)
"""
REFUSING = [sys.executable, "-c", REFUSER]


def test_a_refused_release_is_not_tried_again_until_another_is_the_champion(tmp_path: Path) -> None:
    (tmp_path / "champion").write_text("bad")
    with supervised(tmp_path, ("model", [*REFUSING, str(tmp_path)], {}), ("other", SLEEPING, {})) as run:
        [reason] = run.wait_for(r"service_failed process=model reason=(.*) log=")
        run.wait_for("I am")
        time.sleep(2)

        assert 1 == run.output.count("service_started process=model")
        assert "refuses release bad: bundle_refused reason=a wrong hash" in reason
        assert "pipelines rollback" in reason
        assert "service_stopped" not in run.output

        (tmp_path / "champion").write_text("good")
        run.wait_for("output  model serving")


def test_the_first_restart_is_immediate_and_further_ones_are_delayed_more_and_more(tmp_path: Path) -> None:
    exiting = [sys.executable, "-c", "import time; time.sleep(1.3)"]  # longer than supervisor's start
    with supervised(tmp_path, ("exiting", exiting, {})) as run:
        pauses = run.wait_for(r"service_exited process=exiting reason=\S.* restart_in_s=(\d+)", 3)

    assert ["0", "1", "2"] == pauses


@pytest.mark.parametrize("stopped", [False, True])
def test_services_end_with_a_supervisor_that_is_killed(tmp_path: Path, stopped: bool) -> None:
    with supervised(tmp_path, ("first", SLEEPING, {}), ("last", SLEEPING, {})) as run:
        pids = [int(pid) for pid in run.wait_for(r"I am (\d+)", 2)]
        if stopped:
            os.kill(pids[0], signal.SIGSTOP)
        run.process.kill()

        assert all(has_ended(pid) for pid in pids)
