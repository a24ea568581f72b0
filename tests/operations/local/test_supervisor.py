"""Tests that the supervisor starts, restarts and stops services in a separate process."""

import json
import os
import re
import signal
import subprocess
import sys
import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import psutil
import pytest

RUNNER = """
import json, sys, threading
from pathlib import Path
from operations.local.output import OutputMultiplexer
from operations.local.service_table import Service
from operations.local import supervisor
from product_classifier.observability import configure_logging

configure_logging("local", to=sys.stdout)
services = [Service(name, tuple(command), {}, environment) for name, command, environment in json.loads(sys.argv[2])]
supervisor.PROGRAM = supervisor.PROGRAM.replace("startretries = 4", "startretries = 1")
run = supervisor.ServiceSupervisor(services, Path(sys.argv[1]), OutputMultiplexer(as_json=False))
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


@contextmanager
def supervised(
    folder: Path, *services: tuple[str, list[str], dict[str, str]], failing: bool = False
) -> Iterator[SupervisorProcess]:
    process = subprocess.Popen(
        [sys.executable, "-c", RUNNER, str(folder), json.dumps(services), str(int(failing))],
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        text=True,
    )
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


def test_a_failing_supervisor_terminates_its_services(tmp_path: Path) -> None:
    with supervised(tmp_path, ("first", SLEEPING, {}), ("last", SLEEPING, {}), failing=True) as run:
        pids = run.wait_for(r"I am (\d+)", 2)

        assert 0 != run.process.wait(30)
        assert all(has_ended(int(pid)) for pid in pids)


def has_ended(pid: int) -> bool:
    until = time.monotonic() + 10
    while psutil.pid_exists(pid) and time.monotonic() < until:
        time.sleep(0.05)
    return not psutil.pid_exists(pid)


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
