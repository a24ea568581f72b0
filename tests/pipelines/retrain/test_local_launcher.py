import os
import signal
import time
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

from pipelines.retrain.local_launcher import LocalLauncher
from product_classifier.errors import LauncherUnavailable
from product_classifier.retraining.launcher import Execution

RUN, SNAPSHOT = "retrain-000001-0123456789ab", "0" * 64


def shell_command(script: str) -> Callable[[str, str], list[str]]:
    return lambda run_id, snapshot: ["/bin/sh", "-c", script, run_id, snapshot]


def wait_until(condition: Callable[[], bool], seconds: float = 20) -> bool:
    end = time.monotonic() + seconds
    while not condition():
        if time.monotonic() > end:
            return False
        time.sleep(0.02)
    return True


@pytest.fixture
def make_launcher(tmp_path: Path) -> Iterator[Callable[[str], LocalLauncher]]:
    launchers: list[LocalLauncher] = []

    def make(script: str) -> LocalLauncher:
        launchers.append(LocalLauncher(tmp_path / "runs", shell_command(script)))
        return launchers[-1]

    yield make
    for launcher in launchers:
        launcher.stop_all()


def test_a_run_that_was_not_started_is_not_found(make_launcher: Callable[[str], LocalLauncher]) -> None:
    assert make_launcher("true").find(RUN) is None


@pytest.mark.parametrize(("script", "expected"), [("true", Execution.SUCCEEDED), ("exit 3", Execution.FAILED)])
def test_the_state_of_a_run_is_the_exit_status_of_its_command(
    make_launcher: Callable[[str], LocalLauncher], script: str, expected: Execution
) -> None:
    launcher = make_launcher(script)
    launcher.start(RUN, SNAPSHOT)

    assert wait_until(lambda: launcher.find(RUN) is not Execution.ACTIVE)
    assert launcher.find(RUN) is expected


def test_a_run_started_several_times_is_executed_once(
    make_launcher: Callable[[str], LocalLauncher], tmp_path: Path
) -> None:
    launcher = make_launcher(f"echo $0 $1 >> {tmp_path}/ran; sleep 0.2")
    for _ in range(3):
        launcher.start(RUN, SNAPSHOT)

    assert wait_until(lambda: launcher.find(RUN) is Execution.SUCCEEDED)
    launcher.start(RUN, SNAPSHOT)
    assert (tmp_path / "ran").read_text() == f"{RUN} {SNAPSHOT}\n"


def test_a_run_outlives_its_launcher_and_is_found_by_another(
    make_launcher: Callable[[str], LocalLauncher], tmp_path: Path
) -> None:
    make_launcher("sleep 30").start(RUN, SNAPSHOT)
    second = make_launcher("unused")

    assert second.find(RUN) is Execution.ACTIVE
    second.stop(RUN)
    assert second.find(RUN) is Execution.FAILED


def test_a_run_whose_processes_are_killed_has_failed(
    make_launcher: Callable[[str], LocalLauncher], tmp_path: Path
) -> None:
    launcher = make_launcher("sleep 30")
    launcher.start(RUN, SNAPSHOT)
    os.killpg(int((tmp_path / "runs" / RUN / "started").read_text()), signal.SIGKILL)

    assert wait_until(lambda: launcher.find(RUN) is Execution.FAILED)


def test_a_run_is_active_until_its_command_ends_though_its_parent_is_killed(
    make_launcher: Callable[[str], LocalLauncher], tmp_path: Path
) -> None:
    launcher = make_launcher(f"touch {tmp_path}/started; while [ ! -e {tmp_path}/finish ]; do sleep 0.05; done")
    launcher.start(RUN, SNAPSHOT)
    assert wait_until((tmp_path / "started").exists)
    os.kill(int((tmp_path / "runs" / RUN / "started").read_text()), signal.SIGKILL)
    time.sleep(0.1)
    state_while_alive = launcher.find(RUN)
    (tmp_path / "finish").touch()

    assert state_while_alive is Execution.ACTIVE
    assert wait_until(lambda: launcher.find(RUN) is Execution.FAILED)


def test_a_run_whose_command_does_not_exist_has_failed(tmp_path: Path) -> None:
    launcher = LocalLauncher(tmp_path / "runs", lambda *_: ["/no/such/program"])
    launcher.start(RUN, SNAPSHOT)

    assert wait_until(lambda: launcher.find(RUN) is Execution.FAILED)


def test_a_folder_that_cannot_be_written_makes_the_launcher_unavailable(tmp_path: Path) -> None:
    (tmp_path / "runs").write_text("a file")

    with pytest.raises(LauncherUnavailable, match=RUN):
        LocalLauncher(tmp_path / "runs").start(RUN, SNAPSHOT)
