"""Run the feedback service: `python -m inference.feedback_service`, configured by FEEDBACK_*."""

import signal
import sys

import uvicorn
from fastapi import FastAPI

from inference.compat.connection_limits import process_limits
from inference.compat.draining import DrainingServer
from inference.compat.uvicorn import limited_protocol
from inference.feedback_service.app import create_app
from inference.feedback_service.settings import Settings
from inference.http.sockets import bind_socket
from product_classifier.descriptors import raise_descriptor_limit
from product_classifier.errors import ProductClassifierError
from product_classifier.feedback.index import FeedbackIndex
from product_classifier.feedback.prediction_index import PredictionIndex
from product_classifier.limits import MIB
from product_classifier.observability import configure_logging
from product_classifier.settings_help import settings_parser
from product_classifier.settings_reader import read_settings
from product_classifier.store import StoreSettings, open_store
from product_classifier.store.journal import Journal
from product_classifier.tracing import configure_tracing


def main() -> int:
    """Serve until a signal arrives; return the exit code."""
    settings_parser("python -m inference.feedback_service", __doc__, Settings, StoreSettings).parse_args()
    configure_logging("feedback-service")
    configure_tracing("feedback-service")
    try:
        settings = read_settings(Settings)
        store = open_store(settings.store_address(), create=not settings.store_url)
        journal = None
        if settings.journal_mb:
            journal = Journal(settings.state_dir / "feedback-journal", max_bytes=settings.journal_mb * MIB)
    except (ValueError, ProductClassifierError, OSError) as error:
        sys.stderr.write(f"feedback-service: {error}\n")
        return 2
    folder, name = settings.state_dir / "feedback-index", settings.store_address()
    index = FeedbackIndex(store, folder / "service.sqlite", store_name=name)
    predictions = PredictionIndex(store, index.taxonomy, folder / "predictions.sqlite", store_name=name)
    signal.signal(signal.SIGTERM, lambda *_: sys.exit(0))  # uvicorn raises the signal again after it has stopped
    try:
        serve(settings, create_app(store, journal, settings, index=index, predictions=predictions))
    except KeyboardInterrupt:
        return 0
    except OSError as error:
        sys.stderr.write(f"feedback-service: {error}\n")
        return 2
    return 0


def serve(settings: Settings, app: FastAPI) -> None:
    """Serve the application until a signal arrives; raise OSError if the port is in use."""
    raise_descriptor_limit()
    config = uvicorn.Config(
        app,
        http=limited_protocol(process_limits()),
        log_config=None,
        access_log=False,
        server_header=False,
        timeout_graceful_shutdown=settings.shutdown_s,
    )
    with bind_socket(settings.host, settings.port) as bound:
        DrainingServer(config).run(sockets=[bound])


if __name__ == "__main__":
    sys.exit(main())
