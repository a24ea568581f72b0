"""What the services say, one line per event, on one screen."""

import re
import sys
from collections.abc import Callable
from datetime import UTC, datetime
from typing import TextIO

import orjson

OUR_LINE = re.compile(rb'\d\d:\d\d:\d\d\.\d{3} |\{"time":')
"""How `product_classifier.observability` begins a line; it names its service itself."""

LONGEST_LINE = 100_000


class Screen:
    """Collects the bytes of each process into lines and puts its name before those that lack it.

    While it is `taken`, by a training that draws its progress, lines are kept and come before the first one after that.
    """

    def __init__(self, *, as_json: bool, to: TextIO | None = None, taken: Callable[[], bool] = lambda: False) -> None:
        self._as_json = as_json
        self._to = to or sys.stdout
        self._taken = taken
        self._kept: list[str] = []
        self._begun: dict[str, bytes] = {}

    def write(self, service: str, data: bytes) -> None:
        """Take what a process wrote; a line appears when it is complete."""
        *lines, rest = (self._begun.get(service, b"") + data).split(b"\n")
        if len(rest) > LONGEST_LINE:
            lines, rest = [*lines, rest], b""
        self._begun[service] = rest
        for line in lines:
            self._line(service, line.rstrip())

    def end(self, service: str) -> None:
        """Show what a process that is gone left unfinished."""
        if rest := self._begun.pop(service, b"").strip():
            self._line(service, rest)

    def _line(self, service: str, line: bytes) -> None:
        if line:
            whole = line if OUR_LINE.match(line) else self._named(service, line)
            self._kept.append(whole.decode(errors="replace") + "\n")
        if self._kept and not self._taken():
            self._to.write("".join(self._kept))
            self._to.flush()
            self._kept.clear()

    def _named(self, service: str, line: bytes) -> bytes:
        now = datetime.now(UTC)
        if self._as_json:
            said = {"time": now.isoformat(), "level": "info", "event": "output", "service": service}
            return orjson.dumps(said | {"line": line.decode(errors="replace")})
        return f"{now:%H:%M:%S}.{now.microsecond // 1000:03} output  {service} ".encode() + line
