"""A process that imports the packages of all steps once and forks a process for each step.

`kfp.local` starts an interpreter per step, and most of a short run is spent importing the same packages ten times.
The host imports them while the caller prepares data; a step starts where its imports end.

    with StepHost() as host:
        status = host.run(command)

An exception while a package is imported in advance is ignored: the step that needs the package imports it again and
reports the exception as its own.
"""

import contextlib
import json
import logging
import os
import signal
import socket
import subprocess
import sys
import tempfile
import traceback
from collections.abc import Callable, Mapping, Sequence
from importlib import import_module
from pathlib import Path
from types import FrameType, TracebackType
from typing import NoReturn, Self

from components.shared.tracking import configure_mlflow
from pipelines.compat.kfp import EXECUTOR_MODULE, STEP_ENVIRONMENT, execute, split_command
from product_classifier.parent_process import terminate_with_parent

AVAILABLE = sys.platform == "linux"
"""Elsewhere system libraries do not support a fork without exec."""

PRELOADED = (
    EXECUTOR_MODULE,
    "components.start_run.step",
    "components.prepare_catalogue.step",
    "components.split_catalogue.step",
    "components.merge_corrections.step",
    "components.train_image.step",
    "components.train_image.frozen_backbone",
    "components.train_text.step",
    "components.train_text.linear_training",
    "components.fit_fusion.step",
    "components.find_suspects.step",
    "components.profile_reference.step",
    "components.evaluate.step",
    "mlflow",
    "sqlalchemy.dialects.sqlite",
    "components.register.step",
    "components.compare.step",
    "components.promote.step",
)
"""Modules to import, in the order of the steps. A step that is forked before its modules are imported imports them."""

_ENVIRONMENT = {
    **STEP_ENVIRONMENT,
    "PYTHONWARNINGS": "ignore",
    "OMP_WAIT_POLICY": "PASSIVE",  # read when torch is loaded; threads that spin slow down a busy machine
}

_STATUS = "\0status "
"""Prefix of the exit status, which ends the output of a step."""

_FAILED = 1


class StepHost:
    """Client of the host process; the process ends with the `with` block."""

    def __init__(self, preloaded: Sequence[str] = PRELOADED) -> None:
        self._control, remote = socket.socketpair()
        with remote:
            command = [sys.executable, "-m", __name__, str(remote.fileno()), *preloaded]
            environment = os.environ | _ENVIRONMENT
            self._process = subprocess.Popen(command, env=environment, pass_fds=[remote.fileno()])  # noqa: S603

    def __enter__(self) -> Self:
        return self

    def __exit__(self, kind: type[BaseException] | None, error: BaseException | None, at: TracebackType | None) -> None:
        self._control.close()
        self._process.terminate()  # closing the socket is not enough while it imports a module
        self._process.wait()

    def run(self, full_command: Sequence[str], env_vars: Mapping[str, str] | None = None) -> int:
        """Run the command of a lightweight component, print its output and return its exit status.

        Has the signature of the function of `kfp.local` that it replaces.

        Args:
            full_command: `sh -ec SCRIPT CODE ARGUMENT…`.
            env_vars: Variables in addition to the environment of this process.
        """
        code, arguments = split_command(full_command)
        request = {"code": code, "arguments": arguments, "environment": {**os.environ, **(env_vars or {})}}
        local, remote = socket.socketpair()
        with local:
            try:
                with remote:
                    socket.send_fds(self._control, [b"+"], [remote.fileno()])
                local.sendall(json.dumps(request).encode() + b"\n")
                return _print_output(local)
            except (BrokenPipeError, ConnectionResetError):  # the host was killed
                return _FAILED


def _print_output(step: socket.socket) -> int:
    """Print the output of a step with `print`, which kfp has replaced, and return its exit status.

    Returns `_FAILED` if the step ends without a status. Stops at the status: processes that the step leaves running may
    keep the socket open.
    """
    status = str(_FAILED)
    with step.makefile(encoding="utf-8", errors="backslashreplace", newline="\n") as output:
        for line in output:
            text, separator, rest = line.partition(_STATUS)
            print(text, end="")  # noqa: T201
            if separator:
                status = rest
                break
    print("\n")  # noqa: T201
    return int(status)


def serve(control: socket.socket, preloaded: Sequence[str]) -> None:
    """Import the modules and fork a process for each request, until `control` is closed.

    Requests are also accepted between two imports.
    """
    signal.signal(signal.SIGINT, signal.SIG_IGN)  # Ctrl-C ends the steps and the client, which then ends this process
    signal.signal(signal.SIGCHLD, signal.SIG_IGN)  # reaps the steps: they report their status themselves
    signal.signal(signal.SIGTERM, _terminate_steps)
    terminate_with_parent(os.getppid())
    configure_mlflow()
    control.setblocking(False)
    for name in preloaded:
        with contextlib.suppress(Exception):  # reported by the step that imports the module again
            import_module(name)
        with contextlib.suppress(BlockingIOError):
            while _fork_step(control):
                pass
    control.setblocking(True)
    while _fork_step(control):
        pass


def _fork_step(control: socket.socket) -> bool:
    """Receive the socket of one step and fork its process; return False when `control` is closed."""
    _, descriptors, _, _ = socket.recv_fds(control, 1, 1)
    for descriptor in descriptors:
        with socket.socket(fileno=descriptor) as step:
            if os.fork() == 0:
                control.close()
                _run_step(step)
    return bool(descriptors)


def _terminate_steps(_number: int, _frame: FrameType | None) -> NoReturn:
    """Terminate the running steps and this process: the client has ended, or is about to end."""
    host = os.getpid()
    for step in Path(f"/proc/{host}/task/{host}/children").read_text(encoding="ascii").split():
        with contextlib.suppress(ProcessLookupError):
            os.kill(int(step), signal.SIGTERM)
    os._exit(128 + signal.SIGTERM)


def _run_step(step: socket.socket) -> NoReturn:
    """Run a step in this process: write its output to the socket, then its exit status."""
    signal.signal(signal.SIGINT, signal.default_int_handler)
    signal.signal(signal.SIGCHLD, signal.SIG_DFL)
    signal.signal(signal.SIGTERM, signal.SIG_DFL)
    step.setblocking(True)
    request = json.loads(step.makefile("rb").readline())
    for stream in (sys.stdout, sys.stderr):
        os.dup2(step.fileno(), stream.fileno())
        stream.reconfigure(line_buffering=True)  # type: ignore[union-attr]
    os.environ.clear()
    os.environ.update(request["environment"])
    tempfile.tempdir = None
    status = _exit_status(lambda: execute(request["code"], request["arguments"]))
    logging.shutdown()
    sys.stderr.flush()
    sys.stdout.write(f"{_STATUS}{status}\n")
    sys.stdout.flush()
    os._exit(status)  # not sys.exit: exit handlers of libraries loaded before the fork wait for threads it did not copy


def _exit_status(work: Callable[[], None]) -> int:
    """Call `work`; return the exit status that an interpreter would end with, and print its exception as it would."""
    try:
        work()
    except SystemExit as error:
        if isinstance(error.code, str):
            sys.stderr.write(f"{error.code}\n")
        return error.code if isinstance(error.code, int) else int(error.code is not None)
    except BaseException:  # noqa: BLE001 - any exception ends the process
        traceback.print_exc()
        return _FAILED
    return 0


if __name__ == "__main__":
    serve(socket.socket(fileno=int(sys.argv[1])), sys.argv[2:])
