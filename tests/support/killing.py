"""Kill a process at the n-th thing it asks of the operating system, as kill -9 does, and see what is left."""

import os
import pickle
import signal
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

CALLS = ("open", "write", "fsync", "link", "replace", "rename", "unlink")
"""What a store and a journal do to the disk; all else cannot leave anything behind."""


class Steps:
    """Counts calls; at the chosen one the process is gone. A write has then reached the disk by half."""

    def __init__(self, kill_at: int) -> None:
        self._kill_at = kill_at
        self.count = 0

    def watch(self) -> None:
        for name in CALLS:
            setattr(os, name, self._counted(name, getattr(os, name)))

    def _counted(self, name: str, real: Callable[..., Any]) -> Callable[..., Any]:
        def call(*args: Any, **kwargs: Any) -> Any:
            self.count += 1
            if self.count == self._kill_at:
                if name == "write":
                    real(args[0], args[1][: len(args[1]) // 2])
                os.kill(os.getpid(), signal.SIGKILL)
            return real(*args, **kwargs)

        return call


@dataclass(frozen=True)
class Ended:
    """What a process said before it was gone, and how many steps it took if it was not killed."""

    said: list[Any]
    killed: bool
    steps: int


def run_killed(work: Callable[[Callable[[Any], None]], None], kill_at: int = 0) -> Ended:
    """Do the work in a forked process; `say` what was acknowledged; 0 kills it never."""
    reading, writing = os.pipe()
    process = os.fork()
    if process == 0:
        _work(work, writing, kill_at)
    os.close(writing)
    with os.fdopen(reading, "rb") as pipe:
        said = _messages(pipe)
    _, status = os.waitpid(process, 0)
    killed = os.WIFSIGNALED(status)
    if not killed and os.WEXITSTATUS(status) != 0:
        raise AssertionError(f"the process failed by itself: {said[-1:]}")
    return Ended([word for kind, word in said if kind == "said"], killed, _last_steps(said))


def _work(work: Callable[[Callable[[Any], None]], None], writing: int, kill_at: int) -> None:
    steps = Steps(kill_at)
    real_write, status = os.write, 1

    def tell(kind: str, word: Any) -> None:
        data = pickle.dumps((kind, word))
        real_write(writing, len(data).to_bytes(4, "little") + data)

    try:
        steps.watch()
        work(lambda word: tell("said", word))
        tell("steps", steps.count)
        status = 0
    except BaseException as error:  # noqa: BLE001 - the parent reports it
        tell("error", repr(error))
    finally:
        os._exit(status)


def _messages(pipe: Any) -> list[tuple[str, Any]]:
    found = []
    while len(size := pipe.read(4)) == 4:
        found.append(pickle.loads(pipe.read(int.from_bytes(size, "little"))))
    return found


def _last_steps(said: list[tuple[str, Any]]) -> int:
    return next((word for kind, word in reversed(said) if kind == "steps"), 0)
