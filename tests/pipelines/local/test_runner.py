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

from pipelines.local.runner import RUNS_KEPT, LocalRunResult, StepFailed, run_pipeline
from pipelines.local.step_host import AVAILABLE, StepHost
from pipelines.parameters import ParameterError
from tests.support.small_pipeline import small

ROOT = Path(__file__).parents[3]


@pytest.fixture(scope="module")
def package(tmp_path_factory: pytest.TempPathFactory) -> Path:
    path = tmp_path_factory.mktemp("package") / "small.yaml"
    compiler.Compiler().compile(small, str(path))
    return path


@pytest.fixture(params=["interpreter per step", "step host"])
def host(request: pytest.FixtureRequest) -> Iterator[StepHost | None]:
    """Return the step host; None lets `kfp.local` start the processes of the steps."""
    if request.param == "interpreter per step":
        yield None
        return
    if not AVAILABLE:
        pytest.skip("a step host forks, which is supported on Linux only")
    with StepHost(preloaded=("product_classifier.errors", "no_such_module", "")) as host:
        yield host


def run_small(
    package: Path, root: Path, printed: io.StringIO | None = None, host: StepHost | None = None, **arguments: Any
) -> LocalRunResult:
    console = Console(file=printed or io.StringIO())
    return run_pipeline(package, {"label": "ab", **arguments}, root, console, host)


def read_logs(folder: Path) -> dict[str, str]:
    return {path.name: path.read_text() for path in folder.rglob("*.log")}


def test_steps_run_in_order_and_pass_values_and_artifacts(package: Path, tmp_path: Path, host: StepHost | None) -> None:
    result = run_small(package, tmp_path, host=host, times=3)

    assert ("ababab 0.5 int", ["give", "take"]) == (result.outputs["Output"], list(result.seconds))


def test_a_default_of_the_pipeline_keeps_its_type(package: Path, tmp_path: Path) -> None:
    assert "abab 0.5 int" == run_small(package, tmp_path).outputs["Output"]


def test_an_integer_is_accepted_for_a_float_parameter(package: Path, tmp_path: Path) -> None:
    assert "abab 1.0 int" == run_small(package, tmp_path, share=1).outputs["Output"]


def test_the_terminal_gets_one_line_per_step_and_the_logs_get_the_output(
    package: Path, tmp_path: Path, host: StepHost | None
) -> None:
    printed = io.StringIO()
    result = run_small(package, tmp_path, printed, host)

    lines = printed.getvalue().splitlines()
    assert ["✓ give", "✓ take"] == [line[:6] for line in lines]
    assert "giving ab" in read_logs(result.folder)["01-give.log"]


@pytest.mark.parametrize(
    ("fail", "message"),
    [
        ("refused", "step 'take' failed: CatalogueError: 12 of 20 rows were rejected (log: "),
        ("chained", "step 'take' failed: ValueError: outer (log: "),
        ("killed", "step 'take' failed: it exited without a traceback"),
        ("silent", "step 'take' failed: it exited without a traceback"),
    ],
)
def test_a_failed_step_is_reported_with_its_exception(
    package: Path, tmp_path: Path, host: StepHost | None, fail: str, message: str
) -> None:
    printed = io.StringIO()

    with pytest.raises(StepFailed) as failed:
        run_small(package, tmp_path, printed, host, fail=fail)

    assert str(failed.value).startswith(message)
    assert ["✓ give", "✗ take"] == [line[:6] for line in printed.getvalue().splitlines()]


def test_a_failed_step_is_not_retried(package: Path, tmp_path: Path) -> None:
    with pytest.raises(StepFailed):
        run_small(package, tmp_path, fail="refused")

    (attempts,) = tmp_path.rglob("attempts")
    assert "x" == attempts.read_text()


def test_the_path_of_the_folder_may_contain_a_blank(package: Path, tmp_path: Path) -> None:
    assert "abab 0.5 int" == run_small(package, tmp_path / "my run").outputs["Output"]


def test_the_path_of_the_interpreter_may_contain_a_blank(
    package: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    interpreter = tmp_path / "my python"
    interpreter.write_text(f'#!/bin/sh\nexec "{sys.executable}" "$@"\n')
    interpreter.chmod(0o755)
    monkeypatch.setattr(sys, "executable", str(interpreter))

    assert "abab 0.5 int" == run_small(package, tmp_path / "run").outputs["Output"]


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        ({"lable": "x"}, "no parameter 'lable'; use one of fail, label, share, times"),
        ({"times": "many"}, "parameter times: 'many' is not of type int"),
        ({"times": True}, "parameter times: True is not of type int"),
        ({"share": "0.5"}, "parameter share: '0.5' is not of type float"),
    ],
)
def test_an_invalid_argument_is_reported_before_any_step_runs(
    package: Path, tmp_path: Path, arguments: dict[str, Any], message: str
) -> None:
    with pytest.raises(ParameterError, match=message):
        run_small(package, tmp_path / "root", **arguments)

    assert not (tmp_path / "root").exists()


def test_only_the_newest_runs_are_kept(package: Path, tmp_path: Path) -> None:
    for number in range(RUNS_KEPT + 3):
        (tmp_path / f"20200101T00000{number}-1").mkdir()

    result = run_small(package, tmp_path)

    kept = sorted(path.name for path in tmp_path.iterdir())
    assert (RUNS_KEPT, result.folder.name, "20200101T000007-1") == (len(kept), kept[-1], kept[-2])


def test_temporary_files_are_deleted(package: Path, tmp_path: Path, host: StepHost | None) -> None:
    result = run_small(package, tmp_path, host=host)

    assert not (result.folder / "tmp").exists()


def test_killing_the_step_host_fails_the_next_step_but_not_the_running_one(package: Path, tmp_path: Path) -> None:
    with StepHost(preloaded=()) as host:
        assert "abab 0.5 int" == run_small(package, tmp_path, host=host, fail="orphaned").outputs["Output"]
        with pytest.raises(StepFailed, match="step 'give' failed: it exited without a traceback"):
            run_small(package, tmp_path, host=host)


def test_the_step_host_does_not_wait_for_processes_that_a_step_leaves_running(package: Path, tmp_path: Path) -> None:
    with StepHost(preloaded=()) as host:
        assert "abab 0.5 int" == run_small(package, tmp_path, host=host, fail="lingering").outputs["Output"]

    (process_id,) = tmp_path.rglob("lingering")
    os.kill(int(process_id.read_text()), signal.SIGKILL)  # raises if it ended with the run


@pytest.mark.parametrize("hosted", ["None", "StepHost(preloaded=())"])
@pytest.mark.parametrize("number", [signal.SIGTERM, signal.SIGINT])
def test_a_terminated_run_terminates_its_step(
    package: Path, tmp_path: Path, number: signal.Signals, hosted: str
) -> None:
    code = (
        "import sys; from pathlib import Path; from rich.console import Console\n"
        "from pipelines.local.runner import run_pipeline; from pipelines.local.step_host import StepHost\n"
        f"run_pipeline(Path(sys.argv[1]), {{'label': 'ab', 'fail': 'hang'}}, Path(sys.argv[2]), Console(), {hosted})"
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
    assert not is_running_after_5_s(int(step[0].read_text()))


def is_running_after_5_s(process: int) -> bool:
    for _ in range(100):
        status = Path(f"/proc/{process}/status")
        if not status.exists() or "State:\tZ" in status.read_text():
            return False
        time.sleep(0.05)
    return True
