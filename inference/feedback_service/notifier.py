"""Notifications to the retrain trigger that corrections have changed."""

import threading
from urllib.error import HTTPError
from urllib.request import Request, urlopen

from product_classifier.observability import get_logger, set_traceparent, traceparent
from product_classifier.tracing import span

TIMEOUT_S = 2.0
MIN_INTERVAL_S = 0.5
PATHS = ("/reconcile", "/wake")
"""The second is the only one of triggers before `/reconcile` was added; versions run beside each other in upgrades."""
NOT_FOUND = 404
log = get_logger()


class TriggerNotifier:
    """Sends notifications from one thread.

    Notifications are coalesced; failures are ignored because the trigger also polls.
    """

    def __init__(self, url: str, token: str) -> None:
        """Take the URL of the trigger, empty for none, and the internal token."""
        self._url = url.rstrip("/")
        self._token = token
        self._trace = ""
        self._pending = threading.Event()
        self._stopped = threading.Event()

    def notify(self) -> None:
        """Schedule a notification and return; of coalesced ones the trace of the last is passed on."""
        self._trace = traceparent.get()
        self._pending.set()

    def run(self) -> None:
        """Send scheduled notifications, at most one every `MIN_INTERVAL_S`, until `close`."""
        while not self._stopped.is_set():
            self._pending.wait()
            self._pending.clear()
            if self._url and not self._stopped.is_set():
                self._send()
            self._stopped.wait(MIN_INTERVAL_S)

    def close(self) -> None:
        """Stop `run`."""
        self._stopped.set()
        self._pending.set()

    def _send(self) -> None:
        set_traceparent(self._trace)
        try:
            for path in PATHS:
                with span(f"POST {path}", "client"):
                    if self._post(path) != NOT_FOUND:
                        return
        except OSError as error:
            log.info("trigger_notification_failed", reason=str(error))

    def _post(self, path: str) -> int:
        """Return the status, if it is a success or 404; raise OSError for any other."""
        headers = {"X-Internal-Token": self._token} | ({"traceparent": trace} if (trace := traceparent.get()) else {})
        request = Request(self._url + path, data=b"", headers=headers, method="POST")  # noqa: S310 - configured URL
        try:
            with urlopen(request, timeout=TIMEOUT_S) as response:  # noqa: S310 - configured URL
                return int(response.status)
        except HTTPError as error:
            if error.code == NOT_FOUND:
                return NOT_FOUND
            raise
