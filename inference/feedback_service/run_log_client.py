"""Read the logs of runs from the retrain trigger, in whose state folder they are."""

from http import HTTPStatus
from urllib.error import HTTPError
from urllib.request import Request, urlopen

from product_classifier.observability import get_logger
from product_classifier.retraining.run_records import RUN_LOG_PART_BYTES

TIMEOUT_S = 2.0


class RunLogClient:
    """Reads parts of logs; a trigger that cannot be reached, or has no log of a run, has no new bytes."""

    def __init__(self, url: str, token: str) -> None:
        """Take the URL of the trigger, empty for none, and the internal token."""
        self._url = url.rstrip("/")
        self._token = token

    def read(self, run_id: str, offset: int) -> bytes:
        """Return up to `RUN_LOG_PART_BYTES` of the log of a run from an offset in bytes; empty at its end."""
        if not self._url:
            return b""
        target = f"{self._url}/runs/{run_id}/log?offset={offset}"
        request = Request(target, headers={"X-Internal-Token": self._token})  # noqa: S310 - configured URL
        try:
            with urlopen(request, timeout=TIMEOUT_S) as response:  # noqa: S310 - configured URL
                return bytes(response.read(RUN_LOG_PART_BYTES))
        except OSError as error:
            if not (isinstance(error, HTTPError) and error.code == HTTPStatus.NOT_FOUND):
                get_logger().info("run_log_unavailable", run_id=run_id, reason=str(error))
            return b""
