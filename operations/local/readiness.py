"""Wait until the gateway is ready, then print its address and the accounts."""

import json
import time
import urllib.request
from collections.abc import Callable
from pathlib import Path

from operations.local.service_table import HOST
from operations.local.settings import Settings
from product_classifier.log_stream import LogStream
from product_classifier.observability import get_logger

POLL_S = 0.25
REQUEST_TIMEOUT_S = 2.0

log = get_logger()


def wait_until_ready(port: int, is_canceled: Callable[[], bool]) -> bool:
    """Poll `/readyz`; return True when it succeeds, False when `is_canceled` returns True first."""
    while not is_canceled():
        if _is_ready(port):
            return True
        time.sleep(POLL_S)
    return False


def announce(settings: Settings, stdout: LogStream, took_s: float) -> None:
    """Print the address and the accounts; with JSON logs only the path of the accounts' file."""
    url = f"http://{HOST}:{settings.port}"
    log.info("services_ready", url=url, accounts=str(settings.accounts), took_s=round(took_s, 1))
    if settings.log_format.lower() != "json":
        stdout.write(_welcome(url, settings.accounts, took_s))


def _welcome(url: str, accounts: Path, took_s: float) -> str:
    lines = [f"Ready after {took_s:.0f} s: {url} (API: {url}/docs). Ctrl-C stops everything.", ""]
    for name, account in json.loads(accounts.read_text(encoding="utf-8")).items():
        lines.append(f"    {name:<16} {account['password']:<28} {account['role']}")
    return "\n".join(["", *lines, "", ""])


def _is_ready(port: int) -> bool:
    try:
        with urllib.request.urlopen(f"http://{HOST}:{port}/readyz", timeout=REQUEST_TIMEOUT_S):
            return True
    except OSError:  # connection refused, or status 503
        return False
