"""Progress of a local run: one line per finished step on the terminal, one log file per step."""

import io
import time
from dataclasses import dataclass, field
from pathlib import Path
from typing import TextIO

from rich.console import Console
from rich.live import Live
from rich.markup import escape
from rich.spinner import Spinner

from pipelines.compat.kfp import TaskFinished, TaskStarted, parse_line

TRACEBACK = "Traceback (most recent call last):"
SPINNER_CHARACTERS = 100


@dataclass
class StepProgress:
    """One step of a run: its output, its duration and whether it succeeded."""

    name: str
    log: Path
    started: float
    duration_s: float | None = None
    succeeded: bool = False
    lines: list[str] = field(default_factory=list)

    def error(self) -> str:
        """Return type and message of the exception that ended the step."""
        start = max((at for at, line in enumerate(self.lines) if line.startswith(TRACEBACK)), default=None)
        if start is None:
            return "it exited without a traceback; check whether it was killed or ran out of memory"
        message = [line for line in self.lines[start + 1 :] if line and not line.startswith(" ")]
        kind, _, text = message[0].partition(": ") if message else ("an exception", "", "")
        return f"{kind.rpartition('.')[2]}: {text or 'no message'}"


class ProgressStream(io.TextIOBase):
    """Replacement for standard output during a local run: parses what `kfp.local` prints.

    Writes one line per finished step to the console and the output of each step to a file in `logs`.
    """

    def __init__(self, console: Console, logs: Path) -> None:
        self.steps: list[StepProgress] = []
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
            self._parse(line)
        return len(text)

    def stop(self) -> None:
        """Remove the spinner and close the log; safe to call at any time."""
        self._live.stop()
        if self._file is not None:
            self._file.close()
            self._file = None

    @property
    def failed_step(self) -> StepProgress | None:
        """The first step that has not succeeded."""
        return next((step for step in self.steps if not step.succeeded), None)

    def _parse(self, line: str) -> None:
        match parse_line(line):
            case TaskStarted(task):
                self._start(task)
            case TaskFinished(_, succeeded):
                self._finish(succeeded)
            case output if self._file is not None:
                self._write_output(self._file, output.line, show=not output.from_kfp)

    def _start(self, name: str) -> None:
        log = self._logs / f"{len(self.steps) + 1:02d}-{name}.log"
        self._file = log.open("w", encoding="utf-8", errors="backslashreplace")
        self.steps.append(StepProgress(name, log, time.monotonic()))
        self._spinner.update(text=f"{name} …")
        self._live.start()

    def _write_output(self, file: TextIO, line: str, *, show: bool) -> None:
        file.write(line + "\n")
        file.flush()
        self.steps[-1].lines.append(line)
        if show:
            self._spinner.update(text=f"{self.steps[-1].name}  [dim]{escape(line[:SPINNER_CHARACTERS])}[/dim]")

    def _finish(self, succeeded: bool) -> None:
        step = self.steps[-1]
        step.duration_s = time.monotonic() - step.started
        step.succeeded = succeeded
        self.stop()
        mark = "[green]✓[/green]" if succeeded else "[red]✗[/red]"
        self._console.print(f"{mark} {step.name:<18} {step.duration_s:6.1f} s", highlight=False)
