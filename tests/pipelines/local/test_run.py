import io
import os
import signal
import subprocess
import sys
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from kfp import compiler
from rich.console import Console

from pipelines.local.run import RUNS_KEPT, Outcome, StepFailed, run
from pipelines.local.step_host import AVAILABLE, StepHost
from pipelines.parameters import ParameterError
from tests.support.small_pipeline import small

ROOT = Path(__file__).parents[3]


@pytest.fixture(scope="module")
def package(tmp_path_factory: pytest.TempPathFactory) -> Path:
    path = tmp_path_factory.mktemp("package") / "small.yaml"
    compiler.Compiler().compile(small, str(path))
    return path


@pytest.fixture(params=["by kfp", "by a host"])
def host(request: pytest.FixtureRequest) -> Iterator[StepHost | None]:
    """Who starts the processes of the steps."""
    if request.param == "by kfp":
        yield None
        return
    if not AVAILABLE:
        pytest.skip("a host forks, which is safe on Linux only")
    with StepHost(preloaded=("product_classifier.errors", "no_such_module", "")) as host:
        yield host


def run_small(
    package: Path, root: Path, shown: io.StringIO | None = None, host: StepHost | None = None, **arguments: Any
) -> Outcome:
    return run(package, {"label": "ab", **arguments}, root, Console(file=shown or io.StringIO()), host)


def logs(outcome_or_root: Path) -> dict[str, str]:
    return {path.name: path.read_text() for path in outcome_or_root.rglob("*.log")}


def test_the_steps_run_in_order_and_hand_over_values_and_artifacts(
    package: Path, tmp_path: Path, host: StepHost | None
) -> None:
    outcome = run_small(package, tmp_path, host=host, times=3)

    assert ("ababab 0.5 int", ["give", "take"]) == (outcome.outputs["Output"], list(outcome.seconds))


def test_a_default_of_the_pipeline_keeps_its_type(package: Path, tmp_path: Path) -> None:
    assert "abab 0.5 int" == run_small(package, tmp_path).outputs["Output"]


def test_a_whole_number_is_taken_where_a_fraction_is_wanted(package: Path, tmp_path: Path) -> None:
    assert "abab 1.0 int" == run_small(package, tmp_path, share=1).outputs["Output"]


def test_the_terminal_gets_one_line_per_step_and_the_files_get_the_rest(
    package: Path, tmp_path: Path, host: StepHost | None
) -> None:
    shown = io.StringIO()
    outcome = run_small(package, tmp_path, shown, host)

    lines = shown.getvalue().splitlines()
    assert ["✓ give", "✓ take"] == [line[:6] for line in lines]
    assert "giving ab" in logs(outcome.folder)["01-give.log"]


@pytest.mark.parametrize(
    ("fail", "complaint"),
    [
        ("refused", "step 'take' failed: CatalogueError: 12 of 20 rows were rejected (log: "),
        ("chained", "step 'take' failed: ValueError: outer (log: "),
        ("killed", "step 'take' failed: it ended without saying why"),
        ("silent", "step 'take' failed: it ended without saying why"),
    ],
)
def test_a_failing_step_is_named_with_its_own_message(
    package: Path, tmp_path: Path, host: StepHost | None, fail: str, complaint: str
) -> None:
    shown = io.StringIO()

    with pytest.raises(StepFailed) as failed:
        run_small(package, tmp_path, shown, host, fail=fail)

    assert str(failed.value).startswith(complaint)
    assert ["✓ give", "✗ take"] == [line[:6] for line in shown.getvalue().splitlines()]


def test_a_failing_step_is_not_tried_again_on_the_same_machine(package: Path, tmp_path: Path) -> None:
    with pytest.raises(StepFailed):
        run_small(package, tmp_path, fail="refused")

    (attempts,) = tmp_path.rglob("attempts")
    assert "x" == attempts.read_text()


def test_a_folder_with_a_blank_in_its_name_is_fine(package: Path, tmp_path: Path) -> None:
    assert "abab 0.5 int" == run_small(package, tmp_path / "my run").outputs["Output"]


def test_an_interpreter_below_a_folder_with_a_blank_is_fine(
    package: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    interpreter = tmp_path / "my python"
    interpreter.write_text(f'#!/bin/sh\nexec "{sys.executable}" "$@"\n')
    interpreter.chmod(0o755)
    monkeypatch.setattr(sys, "executable", str(interpreter))

    assert "abab 0.5 int" == run_small(package, tmp_path / "run").outputs["Output"]


@pytest.mark.parametrize(
    ("arguments", "complaint"),
    [
        ({"lable": "x"}, "no parameter 'lable'; it has fail, label, share, times"),
        ({"times": "many"}, "parameter times must be int, not 'many'"),
        ({"times": True}, "parameter times must be int, not True"),
        ({"share": "0.5"}, "parameter share must be float, not '0.5'"),
    ],
)
def test_an_argument_the_pipeline_cannot_take_is_named_before_anything_runs(
    package: Path, tmp_path: Path, arguments: dict[str, Any], complaint: str
) -> None:
    with pytest.raises(ParameterError, match=complaint):
        run_small(package, tmp_path / "root", **arguments)

    assert not (tmp_path / "root").exists()


def test_old_runs_are_dropped(package: Path, tmp_path: Path) -> None:
    for number in range(RUNS_KEPT + 3):
        (tmp_path / f"20200101T00000{number}-1").mkdir()

    outcome = run_small(package, tmp_path)

    kept = sorted(path.name for path in tmp_path.iterdir())
    assert (RUNS_KEPT, outcome.folder.name, "20200101T000007-1") == (len(kept), kept[-1], kept[-2])


def test_nothing_temporary_is_left(package: Path, tmp_path: Path, host: StepHost | None) -> None:
    outcome = run_small(package, tmp_path, host=host)

    assert not (outcome.folder / "tmp").exists()


def test_a_host_that_is_killed_fails_the_next_step_and_not_the_one_under_way(package: Path, tmp_path: Path) -> None:
    with StepHost(preloaded=()) as host:
        assert "abab 0.5 int" == run_small(package, tmp_path, host=host, fail="orphaned").outputs["Output"]
        with pytest.raises(StepFailed, match="step 'give' failed: it ended without saying why"):
            run_small(package, tmp_path, host=host)


def test_a_host_does_not_wait_for_what_a_step_leaves_running(package: Path, tmp_path: Path) -> None:
    with StepHost(preloaded=()) as host:
        assert "abab 0.5 int" == run_small(package, tmp_path, host=host, fail="lingering").outputs["Output"]

    (left,) = tmp_path.rglob("lingering")
    os.kill(int(left.read_text()), signal.SIGKILL)  # raises when it has ended, with the run


@pytest.mark.parametrize("hosted", ["None", "StepHost(preloaded=())"])
@pytest.mark.parametrize("number", [signal.SIGTERM, signal.SIGINT])
def test_a_run_that_is_asked_to_end_leaves_no_step_behind(
    package: Path, tmp_path: Path, number: signal.Signals, hosted: str
) -> None:
    code = (
        "import sys; from pathlib import Path; from rich.console import Console\n"
        "from pipelines.local.run import run; from pipelines.local.step_host import StepHost\n"
        f"run(Path(sys.argv[1]), {{'label': 'ab', 'fail': 'hang'}}, Path(sys.argv[2]), Console(), {hosted})"
    )
    command = [sys.executable, "-c", code, str(package), str(tmp_path)]
    with subprocess.Popen(command, cwd=ROOT, stderr=subprocess.DEVNULL, start_new_session=True) as process:
        while not (step := list(tmp_path.rglob("hanging"))) or not step[0].read_text():
            assert process.poll() is None
            time.sleep(0.05)
        if number is signal.SIGINT:
            os.killpg(process.pid, number)  # a terminal sends it to the whole group
        else:
            process.send_signal(number)

        assert 0 != process.wait(30)
    assert not _alive(int(step[0].read_text()))


def _alive(process: int) -> bool:
    for _ in range(100):
        status = Path(f"/proc/{process}/status")
        if not status.exists() or "State:\tZ" in status.read_text():
            return False
        time.sleep(0.05)
    return True
