"""A local run: lock the state folder, prepare, supervise the services until a signal."""

import os
import sys
import threading
import time

from operations.local.catalogue_state import activate_catalogue
from operations.local.output import OutputMultiplexer
from operations.local.preflight import check_ports, lock_state_dir
from operations.local.preparation import PreparationFailed, TrainingProcess, create_accounts, first_training
from operations.local.readiness import announce, wait_until_ready
from operations.local.service_table import Service, services
from operations.local.settings import Settings
from operations.local.supervisor import ServiceSupervisor
from product_classifier.errors import InvalidSettings, ProductClassifierError
from product_classifier.log_stream import EXIT_S, LogStream
from product_classifier.observability import configure_logging, open_log_stream
from product_classifier.settings_reader import read_settings

EXIT_INTERRUPTED = 130


def run() -> int:
    """Run until a signal; return the exit status."""
    start_s = time.monotonic()
    try:
        settings = read_settings(Settings)
    except InvalidSettings as error:
        sys.stderr.write(f"error: {error}\n")
        return 1
    had_release = _deployed(settings) != ""
    stdout = open_log_stream("local", sys.stdout.fileno())
    configure_logging("local", to=stdout)
    try:
        with lock_state_dir(settings.state_dir.resolve(), f"process {os.getpid()}, port {settings.port}"):
            planned = services(settings)
            check_ports(planned)
            activate_catalogue(settings)
            with first_training(settings) as training:
                create_accounts(settings)
                _serve(settings, planned, training, stdout, start_s)
            return 0
    except ProductClassifierError as error:
        sys.stderr.write(f"error: {error}\n")
        return 1
    except KeyboardInterrupt:
        deployed = "" if had_release else _deployed(settings)
        sys.stderr.write(f"{_interruption(deployed)}\n")
        return EXIT_INTERRUPTED
    finally:
        stdout.wait_until_written(EXIT_S)  # a process that forked off a terminal skips exit handlers


def _deployed(settings: Settings) -> str:
    """Return the id of the release that the model servers serve; empty if there is none."""
    try:
        return (settings.releases / "champion").read_text(encoding="utf-8").strip()
    except OSError:
        return ""


def _interruption(deployed: str) -> str:
    """Return what an interruption left; `deployed` is the release that this run had already put into service."""
    if deployed:
        return f"interrupted while the training ended: release {deployed} is in service; the next `make run` serves it"
    return "interrupted before the services were ready"


def _serve(
    settings: Settings, planned: tuple[Service, ...], training: TrainingProcess, stdout: LogStream, start_s: float
) -> None:
    """Supervise the services until a signal; they start while the first release is still being trained."""
    as_json = settings.log_format.lower() == "json"
    output = OutputMultiplexer(as_json=as_json, to=stdout, is_paused=lambda: not training.is_finished)
    supervisor = ServiceSupervisor(planned, settings.state_dir.resolve(), output)
    failures: list[PreparationFailed] = []

    def wait() -> None:
        try:
            training.wait()
            _wait_until_ready(settings, supervisor)
        except PreparationFailed as error:
            failures.append(error)
            supervisor.stop()
        else:
            if not supervisor.is_stopping:
                announce(settings, stdout, time.monotonic() - start_s)

    threading.Thread(target=wait, daemon=True).start()
    supervisor.run()
    if training.is_interrupted:
        raise KeyboardInterrupt
    if failures:
        raise failures[0]


def _wait_until_ready(settings: Settings, supervisor: ServiceSupervisor) -> None:
    """Return when the gateway is ready or the run is stopping; raise if a service failed to start."""
    ready = wait_until_ready(settings.port, lambda: supervisor.is_stopping or supervisor.failed_service is not None)
    if not ready and not supervisor.is_stopping and supervisor.failed_service is not None:
        raise PreparationFailed(supervisor.failure(supervisor.failed_service))
