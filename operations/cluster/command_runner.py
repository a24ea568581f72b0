"""Run programs for a person who watches: a line when a step ends, its output only when it fails."""

import json
import subprocess
import time
from collections.abc import Callable, Mapping, Sequence
from typing import Any

from product_classifier.errors import ProductClassifierError

TAIL = 30
"""Lines of a failed program's output that are shown."""
WIDTH = 400
"""And how much of each: kubectl shows a whole object in one."""


class CommandFailed(ProductClassifierError):
    """A program we rely on ended with an error."""


class Commands:
    """Starts programs in the folder of the repository; a test puts another one in its place."""

    def __init__(self, say: Callable[[str], None]) -> None:
        self.say = say

    def run(self, command: Sequence[str], *, given: str | None = None) -> str:
        """Return what it printed.

        Raises:
            CommandFailed: If it cannot be started or ends with another status than 0.
        """
        try:
            done = subprocess.run(list(command), input=given, capture_output=True, text=True, check=False)  # noqa: S603 - our own commands
        except OSError as error:
            raise CommandFailed(f"{command[0]!r} cannot be started: {error.strerror}") from error
        if done.returncode != 0:
            last = "\n".join(map(_cut, (done.stdout + done.stderr).strip().splitlines()[-TAIL:]))
            raise CommandFailed(f"{' '.join(command)[:200]} ended with {done.returncode}:\n{last}")
        return done.stdout

    def step(self, about: str, command: Sequence[str], *, given: str | None = None) -> str:
        """Run it and say what was done and how long it took."""
        begin = time.monotonic()
        printed = self.run(command, given=given)
        self.say(f"{about}  {time.monotonic() - begin:.0f} s")
        return printed

    def kubectl(self, *words: str, given: str | None = None) -> str:
        """Ask the current context."""
        return self.run(["kubectl", *words], given=given)

    def get(self, *words: str) -> Mapping[str, Any] | None:
        """Return an object or a list of the current context as JSON; None when it is not there."""
        printed = self.kubectl("get", *words, "--ignore-not-found", "--output=json")
        return json.loads(printed) if printed.strip() else None


def _cut(line: str) -> str:
    return line if len(line) <= WIDTH else f"{line[: WIDTH // 2]} … {line[-WIDTH // 2 :]}"
