"""Adapters to internals of kfp 2.17.0; everything else in this package uses its public API.

`tests/pipelines/compat/test_kfp.py` names the internal that has changed when another version of kfp no longer has it.
kfp is imported inside the functions: its import takes seconds, and importing this module must not.
"""

import re
import shlex
import sys
import tempfile
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Protocol

EXECUTOR_MODULE = "kfp.dsl.executor_main"
"""Module that runs the function of a lightweight component; imported by the step host before the first step.

Reason: kfp offers it only as a command, and the step host runs it in a forked process."""

STEP_ENVIRONMENT = {"_KFP_RUNTIME": "true"}
"""Variable under which `import kfp` leaves out compiler and client.

Reason: kfp sets it for the interpreter of a step, which the step host replaces."""

CLIENT_ENVIRONMENT = {"_KFP_RUNTIME": "false"}
"""Variable under which a child process of a step can import `kfp.Client`.

Reason: the child inherits kfp's setting for the step, but the child is no step."""

HEALTH_TIMEOUT_S = 4.0
"""Seconds in which the API must respond to the first request of a client."""

_ANSI_COLOR = re.compile(r"\x1b\[\d*m")
_TASK_STARTED = re.compile(r"Executing task \W*'(?P<task>[\w-]+)'")
_TASK_FINISHED = re.compile(r"Task \W*'(?P<task>[\w-]+)'.* finished with status \W*(?P<status>SUCCESS|FAILURE)")
_KFP_OUTPUT = re.compile(r"\[KFP Executor|\W|\d\d:\d\d:\d\d\.\d{3} - ")
_STEP_INDENT = "    "


class RunStep(Protocol):
    """Runs the command of a lightweight component with additional variables; returns its exit status."""

    def __call__(self, full_command: Sequence[str], env_vars: Mapping[str, str] | None = None) -> int: ...


@dataclass(frozen=True, slots=True)
class TaskStarted:
    """`kfp.local` has started a task."""

    task: str


@dataclass(frozen=True, slots=True)
class TaskFinished:
    """`kfp.local` has recorded the status of a task."""

    task: str
    succeeded: bool


@dataclass(frozen=True, slots=True)
class TaskOutput:
    """A line printed while a task runs, by the task or by kfp."""

    line: str
    from_kfp: bool


def parse_line(line: str) -> TaskStarted | TaskFinished | TaskOutput:
    """Parse a line that `kfp.local` prints.

    Reason: `kfp.local` has no callbacks for the start and the end of a task.
    """
    plain = _ANSI_COLOR.sub("", line)
    if started := _TASK_STARTED.search(plain):
        return TaskStarted(started["task"])
    if finished := _TASK_FINISHED.search(plain):
        return TaskFinished(finished["task"], finished["status"] == "SUCCESS")
    output = plain.removeprefix(_STEP_INDENT)
    return TaskOutput(output, not output or _KFP_OUTPUT.match(output) is not None)


def open_client(**options: Any) -> Any:
    """Return a `kfp.Client` that requests the health route once, for at most `HEALTH_TIMEOUT_S`.

    Reason: kfp requests it five times with pauses of 5 s, also if the API refuses, then drops the reason it responded.
    """
    import kfp  # noqa: PLC0415 - takes seconds

    class Client(kfp.Client):  # type: ignore[misc]
        def get_kfp_healthz(self, sleep_duration: int = 0) -> Any:  # noqa: ARG002 - the signature of kfp
            set_request_timeout(self, HEALTH_TIMEOUT_S)
            return self._healthz_api.healthz_service_get_healthz()

    return Client(**options)


def set_request_timeout(client: Any, timeout_s: float) -> None:
    """Give every request of a `kfp.Client` a timeout and disable its retries.

    Reason: the client waits without limit and has no parameter for it; a trigger that waits for an unreachable API
    would never end the run it watches. The trigger repeats failed requests itself.
    """
    transport = client._run_api.api_client.rest_client  # noqa: SLF001 - see above
    send = transport.request

    def request(*args: Any, **kwargs: Any) -> Any:
        return send(*args, **kwargs | {"_request_timeout": kwargs.get("_request_timeout") or timeout_s})

    transport.request = request
    transport.pool_manager.connection_pool_kw["retries"] = False


@contextmanager
def without_context_file() -> Iterator[None]:
    """Let `kfp.Client` ignore `~/.config/kfp/context.json` within the block.

    Reason: kfp prefers the namespace and the cookie of that file, written by whatever used kfp on this machine before,
    to the default namespace, fails if the file is damaged, and has no parameter against it.
    """
    import kfp  # noqa: PLC0415 - takes seconds

    original = kfp.Client._LOCAL_KFP_CONTEXT  # noqa: SLF001 - see above
    kfp.Client._LOCAL_KFP_CONTEXT = ""  # noqa: SLF001 - no file has this name
    try:
        yield
    finally:
        kfp.Client._LOCAL_KFP_CONTEXT = original  # noqa: SLF001 - see above


def remove_retries(pipeline: Any) -> None:
    """Remove the retry policies of a loaded pipeline.

    Reason: `kfp.local` honors them and has no setting against it. They exist for pods that are evicted; on one machine
    the same failure would only be reported minutes later.
    """
    for task in pipeline.component_spec.implementation.graph.root.dag.tasks.values():
        task.ClearField("retry_policy")


@contextmanager
def step_runner(run: RunStep) -> Iterator[None]:
    """Let `run` execute the steps of `kfp.local` within the block.

    Reason: `kfp.local` starts an interpreter per step and has no setting for another way. Benefit: the imports of all
    steps are done once (decision 0035).
    """
    from kfp.local import subprocess_task_handler  # noqa: PLC0415 - takes seconds

    original = subprocess_task_handler.run_local_subprocess
    subprocess_task_handler.run_local_subprocess = run
    try:
        yield
    finally:
        subprocess_task_handler.run_local_subprocess = original


@contextmanager
def quoted_interpreter() -> Iterator[None]:
    """Quote `sys.executable` within the block.

    Reason: `kfp.local` inserts it unquoted into a shell script, which fails if its path contains a blank.
    """
    executable = sys.executable
    sys.executable = shlex.quote(executable)
    try:
        yield
    finally:
        sys.executable = executable


def split_command(full_command: Sequence[str]) -> tuple[str, list[str]]:
    """Return the source code and the executor arguments of a lightweight component's command.

    Reason: kfp passes a step to its runner as `sh -ec SCRIPT CODE ARGUMENT…` only.
    """
    _, _, _, code, *arguments = full_command
    return code, arguments


def execute(code: str, arguments: Sequence[str]) -> None:
    """Run the source code of a lightweight component in this process, as the script of its command does.

    Reason: see `EXECUTOR_MODULE`. Sets `sys.argv`, as the executor parses it.
    """
    from kfp.dsl.executor_main import executor_main  # noqa: PLC0415 - in the process of the step only

    with tempfile.TemporaryDirectory() as folder:
        module = Path(folder) / "ephemeral_component.py"
        module.write_text(code, encoding="utf-8")
        sys.argv = ["executor_main", "--component_module_path", str(module), *arguments]
        executor_main()
