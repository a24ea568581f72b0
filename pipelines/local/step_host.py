"""A process that has imported what the steps need, and forks for each of them.

`kfp.local` starts an interpreter per step, and in a short run most of the time goes into importing the same packages
ten times over. The host imports them once, beside whatever else is going on, and a step begins where its imports end.
Each step still has a process of its own.

    with StepHost() as host:
        status = host.run(command)
"""

import contextlib
import json
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
from types import TracebackType
from typing import NoReturn, Self

from components.shared.tracking import quieten

AVAILABLE = sys.platform == "linux"
"""Elsewhere system libraries do not outlive a fork."""

PRELOADED = (
    "kfp.dsl.executor_main",
    "components.merge_corrections.step",
    "components.prepare_catalogue.step",
    "components.split_catalogue.step",
    "components.train_image.training",
    "components.train_image.step",
    "transformers.models.resnet.modeling_resnet",
    "components.train_text.step",
    "components.train_text.linear",
    "components.fit_fusion.step",
    "components.evaluate.step",
    "mlflow",
    "sqlalchemy.dialects.sqlite",
    "components.register.step",
    "components.compare.step",
    "components.promote.step",
)
"""In the order the steps want them. A step that comes before its packages imports them itself."""

_ENVIRONMENT = {
    "_KFP_RUNTIME": "true",
    "PYTHONWARNINGS": "ignore",
    "OMP_WAIT_POLICY": "PASSIVE",  # read when torch is loaded; spinning threads cost a busy machine most steps
}

_STATUS = "\0status "
"""Begins the last words of a step."""


class StepHost:
    """Runs steps in forks of a process that is ready for them; ends with its `with` block."""

    def __init__(self, preloaded: Sequence[str] = PRELOADED) -> None:
        self._control, theirs = socket.socketpair()
        with theirs:
            command = [sys.executable, "-m", __name__, str(theirs.fileno()), *preloaded]
            environment = os.environ | _ENVIRONMENT
            self._process = subprocess.Popen(command, env=environment, pass_fds=[theirs.fileno()])  # noqa: S603

    def __enter__(self) -> Self:
        return self

    def __exit__(self, kind: type[BaseException] | None, error: BaseException | None, at: TracebackType | None) -> None:
        self._control.close()
        self._process.terminate()  # it may be in the middle of an import
        self._process.wait()

    def run(self, full_command: Sequence[str], env_vars: Mapping[str, str] | None = None) -> int:
        """Do what `kfp.local` does with the command of a lightweight component; return its exit status.

        Args:
            full_command: `sh -ec SCRIPT CODE ARGUMENTS…`, where the script lets kfp's executor run the code.
            env_vars: What the environment shall hold besides this process's.
        """
        _, _, _, code, *arguments = full_command
        wanted = {"code": code, "arguments": arguments, "environment": {**os.environ, **(env_vars or {})}}
        mine, theirs = socket.socketpair()
        with mine:
            try:
                with theirs:
                    socket.send_fds(self._control, [b"+"], [theirs.fileno()])
                mine.sendall(json.dumps(wanted).encode() + b"\n")
                return _told(mine)
            except (BrokenPipeError, ConnectionResetError):  # the host was killed
                return 1


def _told(step: socket.socket) -> int:
    """Print what a step says (`print`, which kfp has changed) and return its status, 1 if it ends before telling.

    What the step leaves running may keep the socket open: nobody waits for that.
    """
    status = "1"
    with step.makefile(encoding="utf-8", errors="backslashreplace", newline="\n") as said:
        for line in said:
            words, ended, rest = line.partition(_STATUS)
            print(words, end="")  # noqa: T201
            if ended:
                status = rest
                break
    print("\n")  # noqa: T201
    return int(status)


def serve(control: socket.socket, preloaded: Sequence[str]) -> None:
    """Fork for each step that is asked for, between the imports and after them, until nobody is there to ask."""
    signal.signal(signal.SIGINT, signal.SIG_IGN)  # a terminal's Ctrl-C is for the steps, and for who waits for them
    signal.signal(signal.SIGCHLD, signal.SIG_IGN)  # nobody waits for a step here: it says itself how it ended
    quieten()
    control.setblocking(False)
    for name in preloaded:
        with contextlib.suppress(Exception):  # whatever is wrong with a package, the step that needs it says so
            import_module(name)
        with contextlib.suppress(BlockingIOError):
            while _forked(control):
                pass
    control.setblocking(True)
    while _forked(control):
        pass


def _forked(control: socket.socket) -> bool:
    """Take one request; return False when there will be no more."""
    _, sockets, _, _ = socket.recv_fds(control, 1, 1)
    for descriptor in sockets:
        with socket.socket(fileno=descriptor) as step:
            if os.fork() == 0:
                control.close()
                _become(step)
    return bool(sockets)


def _become(step: socket.socket) -> NoReturn:
    """Be the process of a step: its words go to the socket, and at the end its status."""
    signal.signal(signal.SIGINT, signal.default_int_handler)
    signal.signal(signal.SIGCHLD, signal.SIG_DFL)
    step.setblocking(True)
    wanted = json.loads(step.makefile("rb").readline())
    for stream in (sys.stdout, sys.stderr):
        os.dup2(step.fileno(), stream.fileno())
        stream.reconfigure(line_buffering=True)  # type: ignore[union-attr]
    os.environ.clear()
    os.environ.update(wanted["environment"])
    tempfile.tempdir = None
    status = _status_of(lambda: _execute(wanted["code"], wanted["arguments"]))
    sys.stderr.flush()
    sys.stdout.write(f"{_STATUS}{status}\n")
    sys.exit(status)  # as an interpreter ends, for libraries have things to put in order then


def _execute(code: str, arguments: Sequence[str]) -> None:
    from kfp.dsl.executor_main import executor_main  # noqa: PLC0415 - in the step's process only

    with tempfile.TemporaryDirectory() as folder:
        module = Path(folder) / "ephemeral_component.py"
        module.write_text(code, encoding="utf-8")
        sys.argv = ["executor_main", "--component_module_path", str(module), *arguments]
        executor_main()


def _status_of(work: Callable[[], None]) -> int:
    """Do the work as an interpreter would, and return what it would exit with."""
    try:
        work()
    except SystemExit as error:
        if isinstance(error.code, str):
            sys.stderr.write(f"{error.code}\n")
        return error.code if isinstance(error.code, int) else int(error.code is not None)
    except BaseException:  # noqa: BLE001 - whatever it is ends the process
        traceback.print_exc()
        return 1
    return 0


if __name__ == "__main__":
    serve(socket.socket(fileno=int(sys.argv[1])), sys.argv[2:])
