"""End a process with the process that started it."""

import ctypes
import os
import signal
import sys

_PR_SET_PDEATHSIG = 1
_LIBC = ctypes.CDLL(None) if sys.platform == "linux" else None


def terminate_with_parent(parent: int) -> None:
    """Have the kernel send SIGTERM to this process when the thread that started it ends; on Linux only.

    Call it in the new process, after the fork or at its start: the setting survives exec and is not inherited. The
    thread should be the main thread of its process, which ends last.

    Args:
        parent: Id of the parent. If it has ended already, this process gets the signal at once.
    """
    if _LIBC is None:
        return
    _LIBC.prctl(_PR_SET_PDEATHSIG, signal.SIGTERM)
    if os.getppid() != parent:
        os.kill(os.getpid(), signal.SIGTERM)
