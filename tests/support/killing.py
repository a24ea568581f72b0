"""Kill a process with SIGKILL at its n-th call that changes the disk."""

import fcntl
import os
import pickle
import signal
import threading
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

CALLS = ("open", "write", "fsync", "link", "replace", "rename", "unlink")
"""Functions of `os` through which a store and a journal change the disk."""

HIGH_DESCRIPTOR = 500

Report = Callable[[Any], None]
"""Sends a value to the parent process at once."""


class KillSwitch:
    """Counts calls and kills the process at the chosen one; half of a write has then reached the disk."""

    def __init__(self, kill_at: int) -> None:
        self._kill_at = kill_at
        self.lock = threading.Lock()
        """Held from counting a call until the process is killed; whoever ends the process has to hold it."""
        self.count = 0

    def install(self) -> None:
        for name in CALLS:
            setattr(os, name, self._counted(name, getattr(os, name)))

    def _counted(self, name: str, real: Callable[..., Any]) -> Callable[..., Any]:
        def call(*args: Any, **kwargs: Any) -> Any:
            with self.lock:  # two threads that counted together would both pass the chosen call
                self.count += 1
                if self.count == self._kill_at:
                    try:
                        if name == "write":
                            real(args[0], args[1][: len(args[1]) // 2])
                    finally:
                        os.kill(os.getpid(), signal.SIGKILL)
            return real(*args, **kwargs)

        return call


@dataclass(frozen=True)
class ProcessResult:
    """What a process reported before it ended, and its number of counted calls if it was not killed."""

    reported: list[Any]
    killed: bool
    calls: int


def run_killed(work: Callable[[Report], None], kill_at: int = 0) -> ProcessResult:
    """Run `work` in a forked process and kill it at a call; 0 does not kill it."""
    reading, low = os.pipe()
    # Something that an earlier test left behind may still write to the number of a file it closed; few are as high.
    writing = fcntl.fcntl(low, fcntl.F_DUPFD_CLOEXEC, HIGH_DESCRIPTOR)
    os.close(low)
    process = os.fork()
    if process == 0:
        _run(work, writing, kill_at)
    os.close(writing)
    with os.fdopen(reading, "rb") as pipe:
        messages = _messages(pipe)
    _, status = os.waitpid(process, 0)
    killed = os.WIFSIGNALED(status)
    if not killed and os.WEXITSTATUS(status) != 0:
        raise AssertionError(f"the process failed without being killed: {messages[-1:]}")
    calls = next((value for kind, value in reversed(messages) if kind == "calls"), 0)
    return ProcessResult([value for kind, value in messages if kind == "report"], killed, calls)


def _run(work: Callable[[Report], None], writing: int, kill_at: int) -> None:
    switch = KillSwitch(kill_at)
    real_write, status = os.write, 1

    def send(kind: str, value: Any) -> None:
        data = pickle.dumps((kind, value))
        real_write(writing, len(data).to_bytes(4, "little") + data)

    try:
        switch.install()
        work(lambda value: send("report", value))
        status = 0
    except BaseException as error:  # noqa: BLE001 - the parent raises it
        send("error", repr(error))
    finally:
        with switch.lock:  # a thread at the chosen call kills the process before it ends
            if status == 0:
                send("calls", switch.count)
            os._exit(status)


def _messages(pipe: Any) -> list[tuple[str, Any]]:
    found = []
    while len(size := pipe.read(4)) == 4:
        found.append(pickle.loads(pipe.read(int.from_bytes(size, "little"))))
    return found
