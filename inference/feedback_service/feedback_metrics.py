"""Prometheus metrics of the feedback service."""

from collections.abc import Callable, Iterable
from contextlib import suppress
from math import nan
from typing import get_args

from prometheus_client.core import Metric
from prometheus_client.registry import Collector

from inference.durability.durability_metrics import add_durability
from inference.durability.writer import DurableWriter
from product_classifier.errors import IndexUnavailable
from product_classifier.feedback.index import FeedbackIndex
from product_classifier.feedback.trust import State
from product_classifier.metrics import definitions
from product_classifier.metrics.instruments import Durations, counter, exposition, gauge, gauge_family, service_registry
from product_classifier.store.journal import Journal


class FeedbackMetrics:
    """Metrics of one application, in a separate registry so that a process may hold several."""

    def __init__(self, writer: DurableWriter, journal: Journal | None, index: FeedbackIndex) -> None:
        self.registry = service_registry()
        self._requests = Durations(definitions.HTTP_REQUEST_SECONDS, self.registry)
        self._acknowledged = counter(definitions.CORRECTIONS_ACKNOWLEDGED, self.registry)
        add_durability(self.registry, writer, journal)
        gauge(definitions.JOURNAL_RECORDS, self.registry, lambda: writer.pending_count)
        gauge(definitions.CORRECTIONS_DAMAGED, self.registry, _or_nan(index.damaged_count))
        gauge(definitions.CORRECTIONS_UNREAD, self.registry, _or_nan(index.unread_count))
        gauge(definitions.INDEX_COMPLETE, self.registry, lambda: index.is_complete)
        self.registry.register(_CorrectionCollector(index))

    def acknowledged(self, destination: str) -> None:
        """Count a correction; `destination` is store, journal or replay."""
        self._acknowledged.labels(destination).inc()

    def responded(self, method: str, route: str, status: int, seconds: float) -> None:
        """Record the duration of a request."""
        self._requests.observe(seconds, route, method, status)

    def exposition(self) -> bytes:
        """Return all metrics in Prometheus text format."""
        return exposition(self.registry)


class _CorrectionCollector(Collector):
    """Exposes the corrections by state; none while the index cannot be used."""

    def __init__(self, index: FeedbackIndex) -> None:
        self._index = index

    def collect(self) -> Iterable[Metric]:
        found = gauge_family(definitions.CORRECTIONS)
        with suppress(IndexUnavailable):
            counts = self._index.count_by_state()
            for state in get_args(State):
                found.add_metric([state], counts.get(state, 0))
        return (found,)


def _or_nan(count: Callable[[], int]) -> Callable[[], float]:
    """Return a function that returns NaN while the index cannot be used."""

    def read() -> float:
        try:
            return count()
        except IndexUnavailable:
            return nan

    return read
