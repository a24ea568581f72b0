"""Run work in a foreground process group, so that Ctrl-C does not reach the `make` around it.

A terminal sends SIGINT to every process of the foreground group, and `make` ends with an error however its command
exits. On a terminal the work therefore runs in a child process with its own foreground group; this process forwards the
signals it receives and restores the foreground group at the end.
"""

import os
import signal
import sys
from collections.abc import Callable
from contextlib import suppress
from types import FrameType

from product_classifier.parent_process import terminate_with_parent

FORWARDED = (signal.SIGINT, signal.SIGTERM, signal.SIGHUP, signal.SIGQUIT)


def run_in_foreground(work: Callable[[], int]) -> int:
    """Run `work`, in a separate foreground process group if there is a terminal; return its exit status."""
    if not _owns_terminal():
        return work()
    terminal = sys.stdin.fileno()
    signal.signal(signal.SIGTTOU, signal.SIG_IGN)  # tcsetpgrp from a background group
    parent = os.getpid()
    child = os.fork()
    if child == 0:
        terminate_with_parent(parent)
        _enter_foreground(terminal)
        os._exit(_exit_status(work))
    return _supervise(child, terminal)


def _owns_terminal() -> bool:
    try:
        return sys.stdin.isatty() and os.tcgetpgrp(sys.stdin.fileno()) == os.getpgrp()
    except (OSError, ValueError):
        return False


def _enter_foreground(terminal: int) -> None:
    os.setpgid(0, 0)
    os.tcsetpgrp(terminal, os.getpgrp())
    signal.signal(signal.SIGTTOU, signal.SIG_DFL)
    signal.signal(signal.SIGTSTP, signal.SIG_IGN)  # no shell would continue this group


def _exit_status(work: Callable[[], int]) -> int:
    try:
        status = work()
    except SystemExit as error:
        status = error.code if isinstance(error.code, int) else int(error.code is not None)
    with suppress(OSError):  # the terminal may be closed
        sys.stdout.flush()
        sys.stderr.flush()
    return status


def _supervise(child: int, terminal: int) -> int:
    def forward(number: int, _: FrameType | None) -> None:
        os.kill(child, number)

    for number in FORWARDED:
        signal.signal(number, forward)
    try:
        _, status = os.waitpid(child, 0)
    finally:
        os.tcsetpgrp(terminal, os.getpgrp())
    return os.waitstatus_to_exitcode(status) & 0xFF
