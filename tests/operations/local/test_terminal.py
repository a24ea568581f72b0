"""Tests that Ctrl-C on a terminal reaches the work and not the `make` around it."""

import os
import pty
import select
import signal
import subprocess
import sys
import time
from pathlib import Path

import pytest

WORK = """
import signal, sys, time
from pathlib import Path
from operations.local.terminal import run_in_foreground

def work():
    stopped = []
    for number in (signal.SIGINT, signal.SIGTERM, signal.SIGHUP):
        signal.signal(number, lambda *_: stopped.append(1))
    print("working", flush=True)
    while not stopped:
        time.sleep(0.01)
    Path("stopped").touch()
    print("stopped cleanly", flush=True)
    return {status}

sys.exit(run_in_foreground(work))
"""


@pytest.fixture
def makefile(tmp_path: Path) -> Path:
    (tmp_path / "work.py").write_text(WORK.format(status=0))
    (tmp_path / "failing.py").write_text(WORK.format(status=3))
    (tmp_path / "Makefile").write_text(f"run failing:\n\t@{sys.executable} $(if $(filter run,$@),work,$@).py\n")
    return tmp_path


def on_terminal(folder: Path, *command: str) -> tuple[int, int]:
    """Start a foreground job of a new terminal; return its process id and the terminal."""
    child, terminal = pty.fork()
    if child == 0:
        os.chdir(folder)
        os.environ["PYTHONPATH"] = os.pathsep.join(path for path in (str(Path.cwd()), *sys.path) if path)
        os.execvp(command[0], command)
    return child, terminal


def read_until(terminal: int, expected: str) -> str:
    output, until = "", time.monotonic() + 30
    while expected not in output and time.monotonic() < until:
        if select.select([terminal], [], [], 0.2)[0]:
            try:
                output += os.read(terminal, 4096).decode()
            except OSError:
                break
    assert expected in output
    return output


def test_make_exits_with_0_after_ctrl_c(makefile: Path) -> None:
    child, terminal = on_terminal(makefile, "make", "run")
    read_until(terminal, "working")
    os.write(terminal, b"\x03")
    output = read_until(terminal, "stopped cleanly")
    _, status = os.waitpid(child, 0)

    assert 0 == os.waitstatus_to_exitcode(status), output


def test_make_fails_when_the_work_fails(makefile: Path) -> None:
    child, terminal = on_terminal(makefile, "make", "failing")
    read_until(terminal, "working")
    os.write(terminal, b"\x03")
    read_until(terminal, "Error 3")
    _, status = os.waitpid(child, 0)

    assert 2 == os.waitstatus_to_exitcode(status)


def test_a_signal_to_the_process_group_of_make_stops_the_work(makefile: Path) -> None:
    child, terminal = on_terminal(makefile, "make", "run")
    read_until(terminal, "working")
    os.killpg(child, signal.SIGTERM)
    os.waitpid(child, 0)
    until = time.monotonic() + 30
    while not (makefile / "stopped").exists() and time.monotonic() < until:
        time.sleep(0.05)

    assert (makefile / "stopped").exists()


@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGTERM])
def test_without_a_terminal_the_work_runs_in_the_same_process(makefile: Path, number: signal.Signals) -> None:
    process = subprocess.Popen(
        [sys.executable, "work.py"],
        cwd=makefile,
        stdin=subprocess.DEVNULL,
        stdout=subprocess.PIPE,
        text=True,
        env=os.environ | {"PYTHONPATH": os.pathsep.join(path for path in sys.path if path)},
    )
    assert process.stdout
    assert "working\n" == process.stdout.readline()
    process.send_signal(number)

    assert ("stopped cleanly\n", 0) == (process.stdout.read(), process.wait(30))
