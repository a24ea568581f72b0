"""A local run from beginning to end."""

import os
import sys
import threading
import time

from pydantic import ValidationError

from operations.local.occupancy import check_ports, only_run
from operations.local.output import Screen
from operations.local.preparation import NotPrepared, Training, first_training, make_accounts
from operations.local.readiness import announce, wait_until_ready
from operations.local.services import Service, services
from operations.local.settings import Settings
from operations.local.supervision import Supervision
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
            with first_training(settings) as training:
                make_accounts(settings)
                _serve(settings, planned, training, began_s)
            return 0
    except ProductClassifierError as error:
        sys.stderr.write(f"error: {error}\n")
        return 1
    except KeyboardInterrupt:
        sys.stderr.write("interrupted before anything was served\n")
        return INTERRUPTED


def _serve(settings: Settings, planned: tuple[Service, ...], training: Training, began_s: float) -> None:
    """Serve until told to stop; the services start while the first release is still being trained."""
    state_dir = settings.state_dir.resolve()
    screen = Screen(as_json=settings.log_format.lower() == "json", taken=lambda: not training.over)
    supervision = Supervision(planned, state_dir, screen)
    troubles: list[NotPrepared] = []

    def watch() -> None:
        try:
            training.wait()
            _await_readiness(settings, supervision)
        except NotPrepared as error:
            troubles.append(error)
            supervision.stop()
        else:
            if not supervision.stopping:
                announce(settings, time.monotonic() - began_s)

    threading.Thread(target=watch, daemon=True).start()
    supervision.serve()
    if training.interrupted:
        raise KeyboardInterrupt
    if troubles:
        raise troubles[0]


def _await_readiness(settings: Settings, supervision: Supervision) -> None:
    """Return when predictions can be answered, or the end has begun; raise when they never will be."""
    ready = wait_until_ready(settings.port, lambda: supervision.stopping or supervision.given_up is not None)
    if not ready and not supervision.stopping:
        log = f"{settings.state_dir.resolve()}/logs"
        raise NotPrepared(f"{supervision.given_up} does not start; its log is in {log}")
