"""Tell the retrain trigger that there is something to look at. It would find out by itself, only later."""

import threading
from urllib.error import URLError
from urllib.request import Request, urlopen

from product_classifier.observability import get_logger

TIMEOUT_S = 2.0
AT_MOST_EVERY_S = 0.5
log = get_logger()


class Wake:
    """Calls the trigger from a thread of its own; many wishes make one call, a failed call is forgotten."""

    def __init__(self, url: str, token: str) -> None:
        self._url = f"{url.rstrip('/')}/wake" if url else ""
        self._token = token
        self._wanted = threading.Event()
        self._stopped = threading.Event()

    def __call__(self) -> None:
        """Wish for a call."""
        self._wanted.set()

    def run(self) -> None:
        """Make the calls until closed."""
        while not self._stopped.is_set():
            self._wanted.wait()
            self._wanted.clear()
            if self._url and not self._stopped.is_set():
                self._call()
            self._stopped.wait(AT_MOST_EVERY_S)

    def close(self) -> None:
        """Stop."""
        self._stopped.set()
        self._wanted.set()

    def _call(self) -> None:
        headers = {"X-Internal-Token": self._token}
        request = Request(self._url, data=b"", headers=headers, method="POST")  # noqa: S310 - our own address
        try:
            with urlopen(request, timeout=TIMEOUT_S):  # noqa: S310 - our own address
                return
        except (URLError, OSError) as error:
            log.info("trigger_not_woken", reason=str(error))
