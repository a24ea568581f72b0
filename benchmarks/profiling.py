"""Sample the call stacks of a server under load with py-spy."""

import signal
import subprocess
import tempfile
from collections import Counter
from collections.abc import Callable, Sequence
from pathlib import Path

from benchmarks.environments import python_of
from benchmarks.load import Load
from benchmarks.processes import Server

SAMPLES_PER_SECOND = 250
TOP = 12


def profile(server: Server, run: Callable[[], Load]) -> Sequence[str]:
    """Return the functions that held the GIL longest during `run`, or the error of py-spy."""
    spy = python_of("profiler").with_name("py-spy")
    with tempfile.TemporaryDirectory() as folder:
        stacks = Path(folder) / "stacks"
        command = [
            str(spy),
            "record",
            "--gil",
            "-F",
            "-r",
            str(SAMPLES_PER_SECOND),
            "-d",
            "600",
            "-f",
            "raw",
            "-o",
            str(stacks),
        ]
        command += ["-p", str(server.process.pid)]
        with subprocess.Popen(command, stderr=subprocess.PIPE, stdout=subprocess.DEVNULL) as sampling:  # noqa: S603
            run()
            sampling.send_signal(signal.SIGINT)  # py-spy writes its result and exits
            _, stderr = sampling.communicate()
        return _longest(stacks.read_text()) if stacks.exists() else [f"py-spy: {stderr.decode()[-200:].strip()}"]


def _longest(stacks: str) -> Sequence[str]:
    """Count the innermost function of every stack; input lines are `frame;frame count`."""
    found: Counter[str] = Counter()
    for line in stacks.splitlines():
        stack, _, count = line.rpartition(" ")
        found[stack.rpartition(";")[2]] += int(count)
    total = sum(found.values()) or 1
    return [f"{count / total:.0%} {name}" for name, count in found.most_common(TOP)]
