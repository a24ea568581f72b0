"""Preloading of the step host; how it runs steps is tested by `test_runner`."""

import time
from importlib.util import find_spec
from pathlib import Path

import psutil
import pytest

from components.__main__ import steps
from pipelines.compat.kfp import EXECUTOR_MODULE
from pipelines.local.step_host import AVAILABLE, PRELOADED, StepHost
from tests.pipelines.test_compile import BEFORE_THE_PIPELINE, MONITORING_STEPS

IMPORT = """
def run():
    import {package}
"""
WRITE_PROCESS_ID = """
def run():
    import os
    from pathlib import Path

    Path({path!r}).write_text(str(os.getpid()))
"""


def test_every_step_of_the_pipeline_is_preloaded() -> None:
    preloaded = {name.split(".")[1] for name in PRELOADED if name.startswith("components.") and name.endswith(".step")}

    assert set(steps()) - BEFORE_THE_PIPELINE - MONITORING_STEPS == preloaded


def test_every_preloaded_module_exists() -> None:
    assert [] == [name for name in PRELOADED if find_spec(name) is None]


@pytest.mark.skipif(not AVAILABLE, reason="a step host forks, which is supported on Linux only")
@pytest.mark.parametrize(
    ("statement", "error"),
    [
        ("raise OSError('libmissing.so: cannot open shared object file')", "OSError: libmissing.so: cannot open"),
        ("import no_such_dependency", "No module named 'no_such_dependency'"),
    ],
)
def test_an_error_while_preloading_fails_the_step_that_needs_the_package_with_that_error(
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
    statement: str,
    error: str,
) -> None:
    (tmp_path / "broken.py").write_text(statement)
    (tmp_path / "working.py").touch()
    monkeypatch.setenv("PYTHONPATH", str(tmp_path))

    with StepHost(preloaded=("broken", EXECUTOR_MODULE)) as host:
        failed = host.run(command(IMPORT.format(package="broken"), tmp_path))
        output = capsys.readouterr().out
        succeeded = host.run(command(IMPORT.format(package="working"), tmp_path))

    assert (1, 0) == (failed, succeeded)
    assert error in output


@pytest.mark.skipif(not AVAILABLE, reason="a step host forks, which is supported on Linux only")
def test_the_process_of_a_step_ends_although_threads_were_started_before_the_fork(tmp_path: Path) -> None:
    with StepHost(preloaded=("onnxruntime", EXECUTOR_MODULE)) as host:
        assert 0 == host.run(command(WRITE_PROCESS_ID.format(path=str(tmp_path / "process")), tmp_path))
        process_id = int((tmp_path / "process").read_text())
        deadline = time.monotonic() + 30
        while is_running(process_id) and time.monotonic() < deadline:
            time.sleep(0.05)

        assert not is_running(process_id)


def is_running(process_id: int) -> bool:
    """Return whether a process exists and is no zombie."""
    return psutil.pid_exists(process_id) and psutil.Process(process_id).status() != psutil.STATUS_ZOMBIE


def command(code: str, folder: Path) -> list[str]:
    """Return the command of a component with this code."""
    executor_input = f'{{"inputs": {{}}, "outputs": {{"outputFile": "{folder / "output.json"}"}}}}'
    options = ["--executor_input", executor_input, "--function_to_execute", "run"]
    return ["sh", "-ec", "unused", code, *options]
