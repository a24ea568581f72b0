"""Run programs and report one line per step; their output appears only in errors."""

import json
import subprocess
import time
from collections.abc import Callable, Mapping, Sequence
from typing import Any

from product_classifier.errors import ProductClassifierError

QUOTED_LINES = 30
"""Last lines of a failed program's output that its error contains."""
QUOTED_CHARACTERS = 400
"""Characters of each of them: kubectl prints a whole object in one line."""


class CommandFailed(ProductClassifierError):
    """A program could not be started or ended with an error."""


class CommandRunner:
    """Runs programs in the current directory; tests replace it with a fake cluster."""

    def __init__(self, report: Callable[[str], None]) -> None:
        self.report = report

    def run(self, command: Sequence[str], *, stdin: str | None = None) -> str:
        """Return the standard output of a program.

        Raises:
            CommandFailed: If it cannot be started or ends with another status than 0.
        """
        try:
            done = subprocess.run(list(command), input=stdin, capture_output=True, text=True, check=False)  # noqa: S603 - our own commands
        except OSError as error:
            raise CommandFailed(f"{command[0]!r} cannot be started: {error.strerror}") from error
        if done.returncode != 0:
            end = "\n".join(map(_shorten, (done.stdout + done.stderr).strip().splitlines()[-QUOTED_LINES:]))
            raise CommandFailed(f"{' '.join(command)[:200]} ended with {done.returncode}:\n{end}")
        return done.stdout

    def run_step(self, description: str, command: Sequence[str]) -> str:
        """Run a program and report the description with the duration."""
        start_s = time.monotonic()
        output = self.run(command)
        self.report(f"{description}  {time.monotonic() - start_s:.0f} s")
        return output

    def kubectl(self, *arguments: str, stdin: str | None = None) -> str:
        """Run kubectl in the current context."""
        return self.run(["kubectl", *arguments], stdin=stdin)

    def get(self, *arguments: str) -> Mapping[str, Any] | None:
        """Return an object or a list of objects; None if the object does not exist."""
        output = self.kubectl("get", *arguments, "--ignore-not-found", "--output=json")
        return json.loads(output) if output.strip() else None


def _shorten(line: str) -> str:
    half = QUOTED_CHARACTERS // 2
    return line if len(line) <= QUOTED_CHARACTERS else f"{line[:half]} … {line[-half:]}"
