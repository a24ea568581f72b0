"""When the services can be used, and how to begin."""

import json
import sys
import time
import urllib.request
from collections.abc import Callable
from pathlib import Path

from operations.local.services import HOST
from operations.local.settings import Settings
from product_classifier.observability import get_logger

EVERY_S = 0.25

log = get_logger()


def wait_until_ready(port: int, ended: Callable[[], bool]) -> bool:
    """Return True as soon as the gateway says that it can answer, False when the run ends before."""
    while not ended():
        if _is_ready(port):
            return True
        time.sleep(EVERY_S)
    return False


def announce(settings: Settings, took_s: float) -> None:
    """Print address and accounts; in JSON logs, where the accounts are."""
    url = f"http://{HOST}:{settings.port}"
    log.info("ready", url=url, accounts=str(settings.accounts), took_s=round(took_s, 1))
    if settings.log_format.lower() != "json":
        sys.stdout.write(_welcome(url, settings.accounts, took_s))
        sys.stdout.flush()


def _welcome(url: str, accounts: Path, took_s: float) -> str:
    lines = [f"Ready after {took_s:.0f} s: {url} (API: {url}/docs). Ctrl-C stops everything.", ""]
    for name, account in json.loads(accounts.read_text(encoding="utf-8")).items():
        lines.append(f"    {name:<16} {account['password']:<28} {account['role']}")
    return "\n".join(["", *lines, "", ""])


def _is_ready(port: int) -> bool:
    try:
        with urllib.request.urlopen(f"http://{HOST}:{port}/readyz", timeout=2):
            return True
    except OSError:  # nobody there yet, or 503
        return False
