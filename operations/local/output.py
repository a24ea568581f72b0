"""Multiplex the output of all services into one stream of complete lines."""

import re
import sys
from collections.abc import Callable
from datetime import UTC, datetime
from typing import TextIO

import orjson

from product_classifier.log_stream import LogStream

STRUCTURED_LINE = re.compile(rb'\d\d:\d\d:\d\d\.\d{3} |\{"time":')
"""How `product_classifier.observability` begins a line, which contains the service's name."""

MAX_LINE_BYTES = 100_000
MAX_QUOTED_BYTES = 500
"""Part of the last line of a process that the reason of its failure quotes."""


class OutputMultiplexer:
    """Joins the bytes of each process into lines and prefixes the service's name where it is missing.

    While `is_paused` returns True, because a training draws its progress, lines are buffered and written before the
    first line after that.
    """

    def __init__(
        self, *, as_json: bool, to: TextIO | LogStream | None = None, is_paused: Callable[[], bool] = lambda: False
    ) -> None:
        self._as_json = as_json
        self._to = to or sys.stdout
        self._is_paused = is_paused
        self._buffered: list[str] = []
        self._incomplete: dict[str, bytes] = {}
        self._last: dict[str, bytes] = {}

    def write(self, service: str, data: bytes) -> None:
        """Add output of a process; a line is written when it is complete or exceeds `MAX_LINE_BYTES`."""
        *lines, rest = (self._incomplete.get(service, b"") + data).split(b"\n")
        if len(rest) > MAX_LINE_BYTES:
            lines, rest = [*lines, rest], b""
        self._incomplete[service] = rest
        for line in lines:
            self._write_line(service, line.rstrip())

    @property
    def is_closed(self) -> bool:
        """Whether nothing can read the output any more."""
        return isinstance(self._to, LogStream) and self._to.is_closed

    def end(self, service: str) -> None:
        """Write the incomplete line of a process that has exited."""
        if rest := self._incomplete.pop(service, b"").strip():
            self._write_line(service, rest)

    def last_line(self, service: str) -> str:
        """Return the last line that a process wrote, without its time; empty if it wrote none."""
        line = self._last.get(service, b"").decode(errors="replace")
        return line if line.startswith("{") else line.partition(" ")[2].strip() if line[:2].isdigit() else line

    def _write_line(self, service: str, line: bytes) -> None:
        if line:
            self._last[service] = line[:MAX_QUOTED_BYTES]
            complete = line if STRUCTURED_LINE.match(line) else self._prefix(service, line)
            self._buffered.append(complete.decode(errors="replace") + "\n")
        if self._buffered and not self._is_paused():
            self._to.write("".join(self._buffered))
            self._to.flush()
            self._buffered.clear()

    def _prefix(self, service: str, line: bytes) -> bytes:
        now = datetime.now(UTC)
        if self._as_json:
            fields = {"time": now.isoformat(), "level": "info", "event": "output", "service": service}
            return orjson.dumps(fields | {"line": line.decode(errors="replace")})
        return f"{now:%H:%M:%S}.{now.microsecond // 1000:03} output  {service} ".encode() + line
