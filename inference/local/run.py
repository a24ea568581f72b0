"""A local run from beginning to end."""

import os
import sys
import threading
import time

from pydantic import ValidationError

from inference.local.occupancy import check_ports, only_run
from inference.local.output import Screen
from inference.local.preparation import prepare
from inference.local.readiness import announce, wait_until_ready
from inference.local.services import Service, services
from inference.local.settings import Settings
from inference.local.supervision import Supervision
from product_classifier.errors import ProductClassifierError
from product_classifier.observability import configure_logging

INTERRUPTED = 130


def run() -> int:
    """Prepare, serve, stop; return the exit status."""
    began_s = time.monotonic()
    try:
        settings = Settings()
    except ValidationError as error:
        for wrong in error.errors():
            name = str(wrong["loc"][0]).upper()
            sys.stderr.write(f"error: {name}={str(wrong['input'])[:40]!r}: {wrong['msg']}\n")
        return 1
    configure_logging("local", to=sys.stdout)
    try:
        with only_run(settings.state_dir.resolve(), f"process {os.getpid()}, port {settings.port}"):
            planned = services(settings)
            check_ports(planned)
            prepare(settings)
            return _serve(settings, planned, began_s)
    except ProductClassifierError as error:
        sys.stderr.write(f"error: {error}\n")
        return 1
    except KeyboardInterrupt:
        sys.stderr.write("interrupted before anything was served\n")
        return INTERRUPTED


def _serve(settings: Settings, planned: tuple[Service, ...], began_s: float) -> int:
    state_dir = settings.state_dir.resolve()
    screen = Screen(as_json=settings.log_format.lower() == "json")
    supervision = Supervision(planned, state_dir, screen)

    failed = threading.Event()

    def watch() -> None:
        if wait_until_ready(settings.port, lambda: supervision.stopping or supervision.given_up is not None):
            announce(settings, time.monotonic() - began_s)
        elif not supervision.stopping:
            failed.set()
            supervision.stop()

    threading.Thread(target=watch, daemon=True).start()
    supervision.serve()
    if failed.is_set():
        sys.stderr.write(f"error: {supervision.given_up} does not start; its log is in {state_dir}/logs\n")
    return int(failed.is_set())
