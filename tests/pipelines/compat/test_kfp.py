"""Internals of kfp that `pipelines/compat/kfp.py` uses; a failure names what to adapt there."""

import contextlib
import importlib
import inspect
import io
import os
import subprocess
import sys
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import kfp
import pytest
from kfp import compiler, components, local

from pipelines.compat import kfp as compat
from pipelines.compat.kfp import TaskFinished, TaskOutput, TaskStarted, parse_line
from tests.support.fake_kfp import fake_kfp
from tests.support.small_pipeline import small

ADAPT = "kfp {version} has changed: {what}; adapt pipelines/compat/kfp.py"
pytestmark = pytest.mark.filterwarnings("ignore")


def adapt(what: str) -> str:
    return ADAPT.format(version=kfp.__version__, what=what)


@pytest.fixture(scope="module")
def package(tmp_path_factory: pytest.TempPathFactory) -> Path:
    path = tmp_path_factory.mktemp("package") / "small.yaml"
    compiler.Compiler().compile(small, str(path))
    return path


@pytest.fixture
def client(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Any:
    monkeypatch.setenv("HOME", str(tmp_path))
    with fake_kfp() as api:
        return kfp.Client(host=api.url, namespace="kubeflow")


def run_locally(
    package: Path, folder: Path, run_step: compat.RunStep | None = None, **arguments: str
) -> list[TaskStarted | TaskFinished | TaskOutput]:
    """Run the pipeline with `kfp.local` and return the parsed lines that it prints."""
    local.init(local.SubprocessRunner(use_venv=False), pipeline_root=str(folder))
    pipeline = components.load_component_from_file(str(package))
    compat.remove_retries(pipeline)
    replaced = compat.step_runner(run_step) if run_step else contextlib.nullcontext()
    printed = io.StringIO()
    with contextlib.redirect_stdout(printed), replaced, contextlib.suppress(RuntimeError):
        pipeline(label="ab", **arguments)
    return [parse_line(line) for line in printed.getvalue().splitlines()]


def test_kfp_prints_start_output_and_end_of_a_task_in_the_parsed_form(package: Path, tmp_path: Path) -> None:
    parsed = run_locally(package, tmp_path, fail="refused")

    expected = [
        TaskStarted("give"),
        TaskFinished("give", succeeded=True),
        TaskStarted("take"),
        TaskFinished("take", succeeded=False),
    ]
    assert expected == [one for one in parsed if not isinstance(one, TaskOutput)], adapt(
        "what kfp.local prints at the start and the end of a task"
    )
    assert TaskOutput("giving ab", from_kfp=False) in parsed, adapt("the indentation of a step's output")
    from_kfp = [one.line for one in parsed if isinstance(one, TaskOutput) and one.from_kfp]
    assert any("Looking for component" in line for line in from_kfp), adapt("the prefix of the executor's own lines")
    assert any("Streamed logs" in line for line in from_kfp), adapt("the time stamp of lines that kfp.local prints")


def test_the_client_has_the_transport_that_gets_a_timeout(client: Any) -> None:
    transport = getattr(getattr(client._run_api, "api_client", None), "rest_client", None)
    assert transport is not None, adapt("kfp.Client._run_api.api_client.rest_client is missing")
    parameters = inspect.signature(transport.request).parameters
    assert "_request_timeout" in parameters, adapt("its `request` has no parameter `_request_timeout`")
    assert hasattr(transport.pool_manager, "connection_pool_kw"), adapt("its pool manager has no `connection_pool_kw`")


def test_every_request_of_the_client_has_the_timeout_and_is_sent_once(client: Any) -> None:
    transport = client._run_api.api_client.rest_client
    timeouts: list[Any] = []

    def record(*_: Any, **options: Any) -> Any:
        timeouts.append(options["_request_timeout"])
        raise ConnectionError

    transport.request = record
    compat.set_request_timeout(client, 1.5)
    for send in (client.list_runs, client.list_experiments, client.list_recurring_runs):
        with contextlib.suppress(ConnectionError):
            send()

    assert [1.5, 1.5, 1.5] == timeouts, adapt("the parts of kfp.Client no longer share one transport")
    assert transport.pool_manager.connection_pool_kw["retries"] is False


def test_a_loaded_pipeline_has_retry_policies_that_can_be_removed(package: Path) -> None:
    pipeline = components.load_component_from_file(str(package))
    graph = getattr(getattr(pipeline.component_spec, "implementation", None), "graph", None)
    assert graph is not None, adapt("a loaded pipeline has no component_spec.implementation.graph")
    before = [task.HasField("retry_policy") for task in graph.root.dag.tasks.values()]
    assert any(before), adapt("tasks of a loaded pipeline have no field `retry_policy`")

    compat.remove_retries(pipeline)

    assert not any(task.HasField("retry_policy") for task in graph.root.dag.tasks.values())


def test_kfp_runs_a_step_with_the_function_that_is_replaced(package: Path, tmp_path: Path) -> None:
    handler = importlib.import_module("kfp.local.subprocess_task_handler")
    assert hasattr(handler, "run_local_subprocess"), adapt("subprocess_task_handler.run_local_subprocess is missing")
    original = handler.run_local_subprocess
    assert ["full_command", "env_vars"] == list(inspect.signature(original).parameters), adapt(
        "run_local_subprocess has other parameters"
    )
    commands: list[list[str]] = []

    def record(full_command: Sequence[str], env_vars: Any = None) -> int:
        commands.append(list(full_command))
        return 1

    run_locally(package, tmp_path, record)

    assert handler.run_local_subprocess is original
    assert 1 == len(commands), adapt("the task handler no longer calls run_local_subprocess of its module")
    assert ["sh", "-ec"] == commands[0][:2], adapt("the command of a lightweight component is not `sh -ec SCRIPT CODE`")
    code, arguments = compat.split_command(commands[0])
    assert "def give(" in code, adapt("the code is not the fourth part of a lightweight component's command")
    assert "--executor_input" == arguments[0], adapt("the executor's arguments do not follow the code")
    script = commands[0][2]
    assert f"-m {compat.EXECUTOR_MODULE}" in script, adapt("the executor is another module than EXECUTOR_MODULE")
    assert "--component_module_path" in script, adapt("the executor's option for the module has another name")
    assert all(f"{name}={value}" in script for name, value in compat.STEP_ENVIRONMENT.items()), adapt(
        "the variable that marks a step has another name"
    )


def test_kfp_inserts_the_interpreter_into_the_script_unquoted(
    package: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(sys, "executable", "/a blank/python")
    scripts: list[str] = []

    def record(full_command: Sequence[str], env_vars: Any = None) -> int:
        scripts.append(full_command[2])
        return 1

    with compat.quoted_interpreter():
        run_locally(package, tmp_path, record)

    assert "'/a blank/python' -m" in scripts[0], adapt("kfp.local quotes the interpreter itself or finds it elsewhere")
    assert "/a blank/python" == sys.executable


def test_the_executor_can_be_called_in_process() -> None:
    executor = importlib.import_module(compat.EXECUTOR_MODULE)

    assert hasattr(executor, "executor_main"), adapt(f"{compat.EXECUTOR_MODULE}.executor_main is missing")


@pytest.mark.parametrize(
    ("environment", "has_client"), [(compat.STEP_ENVIRONMENT, "False"), (compat.CLIENT_ENVIRONMENT, "True")]
)
def test_a_variable_decides_whether_kfp_has_its_client(environment: dict[str, str], has_client: str) -> None:
    command = [sys.executable, "-W", "ignore", "-c", "import kfp; print(hasattr(kfp, 'Client'))"]
    found = subprocess.run(command, env=os.environ | environment, capture_output=True, text=True, check=True)

    assert has_client == found.stdout.strip(), adapt(f"{environment} no longer decides what `import kfp` loads")
