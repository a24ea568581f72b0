"""Prometheus metrics of the gateway, on the internal port."""

from pathlib import Path

from inference.auth_proxy.predictions.prediction_counts import PredictionCounts
from inference.durability.durability_metrics import add_durability
from inference.durability.writer import DurableWriter
from product_classifier.metrics import definitions
from product_classifier.metrics.instruments import Durations, add_volume, counter, gauge, service_registry
from product_classifier.store.journal import Journal


class GatewayMetrics:
    """Metrics of one gateway in a separate registry, so that one process can hold several."""

    def __init__(self) -> None:
        self.registry = service_registry()
        self._requests = Durations(definitions.HTTP_REQUEST_SECONDS, self.registry)
        self._stages = Durations(definitions.PREDICTION_STAGE_SECONDS, self.registry)
        self.predictions = PredictionCounts()
        self.registry.register(self.predictions)
        self._records = counter(definitions.PREDICTION_RECORDS, self.registry)
        self._logins = counter(definitions.LOGINS, self.registry)
        self.record_backlog = gauge(definitions.RECORD_BACKLOG_BYTES, self.registry)
        self.requests_in_progress = gauge(definitions.REQUESTS_IN_PROGRESS, self.registry)
        self.request_slots = gauge(definitions.REQUEST_SLOTS, self.registry)

    def count_request(self, route: str, method: str, status: int, seconds: float) -> None:
        """Record one request and its duration."""
        self._requests.observe(seconds, route, method, status)

    def observe_stage(self, stage: str, seconds: float) -> None:
        """Record the duration of a stage of a prediction."""
        self._stages.observe(seconds, stage)

    def count_record(self, outcome: str) -> None:
        """Count one write of prediction records."""
        self._records.labels(outcome).inc()

    def count_login(self, outcome: str) -> None:
        """Count one login attempt."""
        self._logins.labels(outcome).inc()

    def add_state(self, writer: DurableWriter, journal: Journal, folder: Path) -> None:
        """Expose store, journal and the volume of the state folder, read by each scrape."""
        add_durability(self.registry, writer, journal)
        add_volume(self.registry, folder)
