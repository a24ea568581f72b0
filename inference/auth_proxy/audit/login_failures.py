"""Failed logins in the audit log, in a bounded number of events whatever the number of guesses."""

import asyncio
from collections.abc import Coroutine
from dataclasses import dataclass, replace

from inference.auth_proxy.audit.audit_log import AuditLog, Requester
from inference.auth_proxy.auth.login_limits import login_network
from product_classifier.audit.audit_events import AuditAction

WINDOW_S = 60.0
MAX_WINDOWS = 100
"""Pairs of name and address with their own events in one window; the failures of all others are counted together."""


@dataclass(slots=True)
class _Window:
    requester: Requester
    more: int = 0
    """Failures after the one that opened the window."""


class LoginFailures:
    """Records the first failure of a name from an address at once, and the number of others later.

    Names that no user has are not recorded: users type passwords into the wrong field. Belongs to one event loop.
    """

    def __init__(self, log: AuditLog, window_s: float = WINDOW_S, max_windows: int = MAX_WINDOWS) -> None:
        self._log = log
        self._window_s = window_s
        self._max_windows = max_windows
        self._windows: dict[tuple[str, str], _Window] = {}
        self._writes: set[asyncio.Task[None]] = set()

    def add(self, requester: Requester) -> None:
        """Count a failure; the requester has no user if no user has the name."""
        pair = (requester.user.name if requester.user else "", login_network(requester.address))
        if pair not in self._windows and len(self._windows) >= self._max_windows:
            pair, requester = ("", ""), replace(requester, user=None)
        if (window := self._windows.get(pair)) is not None:
            window.more += 1
            return
        self._windows[pair] = _Window(requester)
        self._start(self._record(requester, 1))
        asyncio.get_running_loop().call_later(self._window_s, self._end, pair)

    async def close(self) -> None:
        """Record what was counted, and wait for it."""
        for pair in list(self._windows):
            self._end(pair)
        await asyncio.gather(*self._writes)

    def _end(self, pair: tuple[str, str]) -> None:
        window = self._windows.pop(pair, None)
        if window is not None and window.more:
            self._start(self._record(window.requester, window.more))

    async def _record(self, requester: Requester, failures: int) -> None:
        await self._log.login(requester, AuditAction.LOGIN_FAILED, failures=failures)

    def _start(self, write: Coroutine[None, None, None]) -> None:
        """Run a write without making a response wait for it."""
        task = asyncio.get_running_loop().create_task(write)
        self._writes.add(task)
        task.add_done_callback(self._writes.discard)
