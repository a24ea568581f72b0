"""Tell a person, step by step, what a local run does; keep what the steps print in one file per step.

`kfp.local` offers no callbacks: it prints. `Narrator` is a stream put in place of standard output, which recognises the
beginning and the end of a task in what is printed and treats all else as the words of the task that runs.
"""

import io
import re
import time
from dataclasses import dataclass, field
from pathlib import Path
from typing import TextIO

from rich.console import Console
from rich.live import Live
from rich.spinner import Spinner

BEGINS = re.compile(r"Executing task \W*'(?P<task>[\w-]+)'")
ENDS = re.compile(r"Task \W*'(?P<task>[\w-]+)'.* finished with status \W*(?P<status>SUCCESS|FAILURE)")
COLOUR = re.compile(r"\x1b\[\d*m")
SAID_BY_KFP = re.compile(r"\[KFP Executor|\W|\d\d:\d\d:\d\d\.\d{3} - ")
TRACEBACK = "Traceback (most recent call last):"


@dataclass
class Task:
    """One task of the run: what it said, and how long it took."""

    name: str
    log: Path
    began: float
    took_s: float | None = None
    succeeded: bool = False
    lines: list[str] = field(default_factory=list)

    def complaint(self) -> str:
        """Return the message of the exception the task ended with."""
        start = max((at for at, line in enumerate(self.lines) if line.startswith(TRACEBACK)), default=None)
        if start is None:
            return "it ended without saying why (was it killed, or out of memory?)"
        message = [line for line in self.lines[start + 1 :] if line and not line.startswith(" ")]
        kind, _, text = message[0].partition(": ") if message else ("an exception", "", "")
        return f"{kind.rpartition('.')[2]}: {text or 'no message'}"


class Narrator(io.TextIOBase):
    """Writes one line per finished task to `console`, and what a task says to `logs`."""

    def __init__(self, console: Console, logs: Path) -> None:
        self.tasks: list[Task] = []
        self._console = console
        self._logs = logs
        self._spinner = Spinner("dots")
        self._live = Live(self._spinner, console=console, transient=True, redirect_stdout=False, redirect_stderr=False)
        self._partial = ""
        self._file: TextIO | None = None

    def writable(self) -> bool:
        return True

    def write(self, text: str, /) -> int:
        *lines, self._partial = (self._partial + text).split("\n")
        for line in lines:
            self._line(COLOUR.sub("", line))
        return len(text)

    def stop(self) -> None:
        """Take the spinner away and close the log, also when a run is cut short."""
        self._live.stop()
        if self._file is not None:
            self._file.close()
            self._file = None

    @property
    def failed(self) -> Task | None:
        return next((task for task in self.tasks if not task.succeeded), None)

    def _line(self, line: str) -> None:
        if begins := BEGINS.search(line):
            self._begin(begins["task"])
        elif ends := ENDS.search(line):
            self._end(ends["status"] == "SUCCESS")
        elif self._file is not None:
            self._said(line)

    def _begin(self, name: str) -> None:
        log = self._logs / f"{len(self.tasks) + 1:02d}-{name}.log"
        self._file = log.open("w", encoding="utf-8", errors="backslashreplace")
        self.tasks.append(Task(name, log, time.monotonic()))
        self._spinner.update(text=f"{name} …")
        self._live.start()

    def _said(self, line: str) -> None:
        assert self._file is not None  # noqa: S101 - a task runs
        said = line.removeprefix("    ")
        self._file.write(said + "\n")
        self._file.flush()
        self.tasks[-1].lines.append(said)
        if said and not SAID_BY_KFP.match(said):
            self._spinner.update(text=f"{self.tasks[-1].name}  [dim]{_plain(said)}[/dim]")

    def _end(self, succeeded: bool) -> None:
        task = self.tasks[-1]
        task.took_s = time.monotonic() - task.began
        task.succeeded = succeeded
        self.stop()
        mark = "[green]✓[/green]" if succeeded else "[red]✗[/red]"
        self._console.print(f"{mark} {task.name:<18} {task.took_s:6.1f} s", highlight=False)


def _plain(text: str) -> str:
    return text[:100].replace("[", r"\[")
