"""Ctrl-C for us alone.

A terminal sends Ctrl-C to every process of the foreground group, so `make` would end with an error however cleanly we
stop. On a terminal the work is therefore done by a child in a foreground group of its own; this process stays where
it was started, passes on the signals it gets, and gives the terminal back.
"""

import os
import signal
import sys
from collections.abc import Callable
from contextlib import suppress
from types import FrameType

PASSED_ON = (signal.SIGINT, signal.SIGTERM, signal.SIGHUP, signal.SIGQUIT)


def in_foreground(work: Callable[[], int]) -> int:
    """Run `work`, in a foreground group of its own when there is a terminal; return its exit status."""
    if not _owns_terminal():
        return work()
    terminal = sys.stdin.fileno()
    signal.signal(signal.SIGTTOU, signal.SIG_IGN)  # to take the terminal back from the background
    child = os.fork()
    if child == 0:
        _become_foreground(terminal)
        os._exit(_finished(work))
    return _guard(child, terminal)


def _owns_terminal() -> bool:
    try:
        return sys.stdin.isatty() and os.tcgetpgrp(sys.stdin.fileno()) == os.getpgrp()
    except (OSError, ValueError):
        return False


def _become_foreground(terminal: int) -> None:
    os.setpgid(0, 0)
    os.tcsetpgrp(terminal, os.getpgrp())
    signal.signal(signal.SIGTTOU, signal.SIG_DFL)
    signal.signal(signal.SIGTSTP, signal.SIG_IGN)  # no shell would bring us back


def _finished(work: Callable[[], int]) -> int:
    try:
        status = work()
    except SystemExit as error:
        status = error.code if isinstance(error.code, int) else int(error.code is not None)
    with suppress(OSError):  # the terminal may be gone
        sys.stdout.flush()
        sys.stderr.flush()
    return status


def _guard(child: int, terminal: int) -> int:
    def pass_on(number: int, _: FrameType | None) -> None:
        os.kill(child, number)

    for number in PASSED_ON:
        signal.signal(number, pass_on)
    try:
        _, status = os.waitpid(child, 0)
    finally:
        os.tcsetpgrp(terminal, os.getpgrp())
    return os.waitstatus_to_exitcode(status) & 0xFF
