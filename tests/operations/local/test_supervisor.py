"""The supervisor starts, restarts and stops what it is given; each test watches a real one from outside."""

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
from operations.local.output import Screen
from operations.local.services import Service
from operations.local import supervision
from product_classifier.observability import configure_logging

configure_logging("local", to=sys.stdout)
services = [Service(name, tuple(command), {}, environment) for name, command, environment in json.loads(sys.argv[2])]
supervision.PROGRAM = supervision.PROGRAM.replace("startretries = 4", "startretries = 1")
run = supervision.Supervision(services, Path(sys.argv[1]), Screen(as_json=False))
if sys.argv[3] == "1":
    threading.Timer(2, setattr, (run._options, "mood", None)).start()  # something no supervisor expects
run.serve()
"""

PATIENT = [sys.executable, "-c", "import os, time; print('I am', os.getpid(), flush=True); time.sleep(60)"]


class Run:
    """A supervisor in a process of its own, and what it has said."""

    def __init__(self, process: "subprocess.Popen[str]") -> None:
        self.process = process
        self.said = ""
        self._more = threading.Condition()
        threading.Thread(target=self._listen, daemon=True).start()

    def wait_for(self, pattern: str, count: int = 1, within_s: float = 30) -> list[str]:
        with self._more:
            found = self._more.wait_for(lambda: len(re.findall(pattern, self.said)) >= count, within_s)
        assert found, f"{pattern!r} not in:\n{self.said}"
        return re.findall(pattern, self.said)

    def stop_reading(self) -> None:
        assert self.process.stdout
        os.dup2(os.open(os.devnull, os.O_RDONLY), self.process.stdout.fileno())

    def _listen(self) -> None:
        assert self.process.stdout
        for line in self.process.stdout:
            with self._more:
                self.said += line
                self._more.notify_all()


@contextmanager
def supervised(folder: Path, *services: tuple[str, list[str], dict[str, str]], failing: bool = False) -> Iterator[Run]:
    process = subprocess.Popen(
        [sys.executable, "-c", RUNNER, str(folder), json.dumps(services), str(int(failing))],
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        text=True,
    )
    try:
        yield Run(process)
    finally:
        process.terminate()
        process.wait(30)


def test_one_that_dies_is_started_again(tmp_path: Path) -> None:
    with supervised(tmp_path, ("patient", PATIENT, {}), ("other", PATIENT, {})) as run:
        [first] = run.wait_for(r"output  patient I am (\d+)")
        os.kill(int(first), signal.SIGKILL)
        both = run.wait_for(r"output  patient I am (\d+)", 2)

        assert 2 == len(set(both))
        assert "died process=patient" in run.said
        assert "died process=other" not in run.said


@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGTERM, signal.SIGHUP])
def test_a_signal_stops_all_of_them_with_status_0(tmp_path: Path, number: signal.Signals) -> None:
    with supervised(tmp_path, ("first", PATIENT, {}), ("last", PATIENT, {})) as run:
        pids = run.wait_for(r"I am (\d+)", 2)
        run.process.send_signal(number)

        assert 0 == run.process.wait(30)
        run.wait_for("stopped process=first")
        assert run.said.index("stopped process=last") < run.said.index("stopped process=first")
        for pid in pids:
            with pytest.raises(ProcessLookupError):
                os.kill(int(pid), 0)


TALKATIVE = [
    sys.executable,
    "-c",
    "import os, time\nwhile True: print('I am', os.getpid(), flush=True); time.sleep(0.1)",
]


def test_without_anybody_to_read_it_the_run_ends(tmp_path: Path) -> None:
    with supervised(tmp_path, ("talkative", TALKATIVE, {}), ("patient", PATIENT, {})) as run:
        run.wait_for("output  patient I am")
        pids = set(run.wait_for(r"I am (\d+)", 2))
        run.stop_reading()
        run.process.wait(30)

        assert all(has_ended(int(pid)) for pid in pids)


def test_a_supervisor_that_fails_leaves_nothing_behind(tmp_path: Path) -> None:
    with supervised(tmp_path, ("first", PATIENT, {}), ("last", PATIENT, {}), failing=True) as run:
        pids = run.wait_for(r"I am (\d+)", 2)

        assert 0 != run.process.wait(30)
        assert all(has_ended(int(pid)) for pid in pids)


def has_ended(pid: int) -> bool:
    until = time.monotonic() + 10
    while psutil.pid_exists(pid) and time.monotonic() < until:
        time.sleep(0.05)
    return not psutil.pid_exists(pid)


def test_paths_and_values_may_hold_any_character(tmp_path: Path) -> None:
    folder = tmp_path / "a %(x)s 'folder', \"quoted\"; #1"
    folder.mkdir()
    odd = "a \"b\" 'c' \\ , = %d %(here)s ; é"
    command = [sys.executable, "-c", "import os, sys; print(os.environ['ODD'] == sys.argv[1], flush=True)", odd]
    with supervised(folder, ("odd", command, {"ODD": odd})) as run:
        run.wait_for("output  odd True")


def test_one_that_never_starts_is_given_up_and_the_others_go_on(tmp_path: Path) -> None:
    with supervised(
        tmp_path, ("broken", [sys.executable, "-c", "raise SystemExit('no')"], {}), ("fine", PATIENT, {})
    ) as run:
        run.wait_for("given_up process=broken", within_s=60)

        assert "output  broken no" in run.said
        assert "died process=fine" not in run.said
