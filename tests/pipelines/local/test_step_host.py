"""Preloading of the step host; how it runs steps is tested by `test_runner`."""

from importlib.util import find_spec
from pathlib import Path

import pytest

from components.__main__ import steps
from pipelines.compat.kfp import EXECUTOR_MODULE
from pipelines.local.step_host import AVAILABLE, PRELOADED, StepHost
from tests.pipelines.test_compile import BEFORE_THE_PIPELINE

CODE = """
def use_package():
    import {package}
"""


def test_every_step_of_the_pipeline_is_preloaded() -> None:
    preloaded = {name.split(".")[1] for name in PRELOADED if name.startswith("components.") and name.endswith(".step")}

    assert set(steps()) - BEFORE_THE_PIPELINE == preloaded


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
        failed = host.run(command("broken", tmp_path))
        output = capsys.readouterr().out
        succeeded = host.run(command("working", tmp_path))

    assert (1, 0) == (failed, succeeded)
    assert error in output


def command(package: str, folder: Path) -> list[str]:
    """Return the command of a component that imports the package."""
    executor_input = f'{{"inputs": {{}}, "outputs": {{"outputFile": "{folder / package}.json"}}}}'
    options = ["--executor_input", executor_input, "--function_to_execute", "use_package"]
    return ["sh", "-ec", "unused", CODE.format(package=package), *options]
