"""Write lines to a descriptor without ever waiting for its reader.

A line is written at once if the pipe, terminal or file accepts it. Otherwise it waits in memory, in order, for a thread
that exists only meanwhile. Lines beyond the limit are dropped and counted; a line with their number is written in their
place once the reader continues.
"""

import atexit
import errno
import os
import select
import stat
import threading
import time
from collections import deque
from collections.abc import Callable
from contextlib import suppress

MAX_WAITING_BYTES = 4 << 20
"""Bytes that wait in memory; afterwards lines are dropped until half of them are written."""
EXIT_S = 1.0
"""Seconds that the exit of the process waits for the reader."""
POLL_MS = 500
CHUNK_BYTES = 4096
"""A pipe that accepts any byte accepts these, and it writes them as a whole."""


class LogStream:
    """A text stream for lines; thread-safe, and usable in a forked process.

    Args:
        descriptor: Where lines are written, such as 2; it is not changed. Lines that wait are written to what it was
            when the first line was written, although it is closed and its number given to another file.
        describe_dropped: Returns the line that reports a number of dropped lines.
    """

    def __init__(self, descriptor: int, describe_dropped: Callable[[int], str]) -> None:
        self._descriptor = descriptor
        self._describe_dropped = describe_dropped
        self.dropped_full = 0
        """Lines of this process that were dropped because too many waited."""
        self.dropped_failed = 0
        """Lines of this process that were dropped because a write failed: the reader is closed, or the disk full."""
        self.error: OSError | None = None
        """Why the last line could not be written: its reader is closed, or the disk is full."""
        self._start_empty()
        atexit.register(self.wait_until_written, EXIT_S)
        os.register_at_fork(after_in_child=self._start_empty)

    def _start_empty(self) -> None:
        self._lock = threading.RLock()
        self._waiting: deque[bytes] = deque()
        self._waiting_bytes = 0
        self._unreported = 0
        self._is_full = False
        self._thread: threading.Thread | None = None
        self._opened = False
        self._non_blocking: int | None = None
        self._blocking = -1
        """A duplicate, if the descriptor cannot be written to without blocking."""

    def write(self, text: str) -> int:
        """Write complete lines, or make them wait; never blocks and never raises."""
        data = text.encode(errors="backslashreplace")
        with self._lock:
            if not self._waiting:
                data = self._write_now(data)
            if data:
                self._add(data)
        return len(text)

    def flush(self) -> None:
        """Do nothing: lines are written at once or by the thread."""

    @property
    def dropped(self) -> int:
        """Number of lines that were dropped in this process."""
        return self.dropped_full + self.dropped_failed

    @property
    def is_closed(self) -> bool:
        """Whether the reader has closed its end: of the pipe, or the terminal."""
        return self.error is not None and self.error.errno in (errno.EPIPE, errno.EIO)

    def wait_until_written(self, timeout_s: float) -> bool:
        """Wait until no line waits; return False after the timeout."""
        end = time.monotonic() + timeout_s
        while self._waiting and time.monotonic() < end:
            time.sleep(0.01)
        return not self._waiting

    def _write_now(self, data: bytes) -> bytes:
        """Write what the descriptor accepts without blocking; return the rest."""
        if not self._opened:
            self._opened, self._non_blocking = True, _open_non_blocking(self._descriptor)
            if self._non_blocking is None:
                with suppress(OSError):  # a closed one: then each write fails
                    self._blocking = os.dup(self._descriptor)
        if self._non_blocking is None:
            return data
        unreported = self._unreported
        if unreported:
            data = self._report() + data
        try:
            rest = data[os.write(self._non_blocking, data) :]
        except BlockingIOError:
            return data
        except OSError as error:
            self._unreported = unreported
            self._fail(error)
            return b""
        self.error = None
        return rest

    def _add(self, data: bytes) -> None:
        if self._is_full:
            self.dropped_full += 1
            self._unreported += 1
            return
        if self._unreported:
            data = self._report() + data
        self._waiting.append(data)
        self._waiting_bytes += len(data)
        self._is_full = self._waiting_bytes >= MAX_WAITING_BYTES
        if self._thread is None:
            self._thread = threading.Thread(target=self._write_waiting, name="log-writer", daemon=True)
            self._thread.start()

    def _write_waiting(self) -> None:
        while True:
            with self._lock:
                if not self._waiting and self._unreported and self.error is None:
                    self._waiting.append(self._report())
                if not self._waiting:
                    self._waiting_bytes, self._is_full, self._thread = 0, False, None
                    return
                data = self._waiting[0]
            try:
                written = self._write_blocking(data[:CHUNK_BYTES])
            except OSError as error:
                with self._lock:
                    self._fail(error)
                continue
            with self._lock:
                self.error = None
                self._waiting_bytes -= written
                if written == len(data):
                    self._waiting.popleft()
                else:
                    self._waiting[0] = data[written:]
                if self._waiting_bytes < MAX_WAITING_BYTES // 2:
                    self._is_full = False

    def _write_blocking(self, data: bytes) -> int:
        if self._non_blocking is None:
            return os.write(self._blocking, data)
        poll = select.poll()
        poll.register(self._non_blocking, select.POLLOUT)
        poll.poll(POLL_MS)
        try:
            return os.write(self._non_blocking, data)
        except BlockingIOError:
            return 0

    def _fail(self, error: OSError) -> None:
        """Drop the waiting lines: nothing accepts them."""
        self.error = error
        lines = max(1, len(self._waiting))
        self.dropped_failed += lines
        self._unreported += lines
        self._waiting.clear()
        self._waiting_bytes, self._is_full = 0, False

    def _report(self) -> bytes:
        dropped, self._unreported = self._unreported, 0
        return self._describe_dropped(dropped).encode(errors="backslashreplace")


def _open_non_blocking(descriptor: int) -> int | None:
    """Open what a descriptor refers to a second time, without blocking; None if that is impossible.

    Setting O_NONBLOCK on the descriptor itself would change it for every process that shares it, such as the shell.
    """
    try:
        mode = os.fstat(descriptor).st_mode
        if stat.S_ISREG(mode):
            return descriptor
        if stat.S_ISFIFO(mode) or stat.S_ISCHR(mode):
            return os.open(f"/proc/self/fd/{descriptor}", os.O_WRONLY | os.O_NONBLOCK | os.O_NOCTTY | os.O_CLOEXEC)
    except OSError:
        pass
    return None
