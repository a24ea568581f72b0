"""Prometheus metrics of a durable writer and its journal, read by each scrape."""

from collections.abc import Iterable

from prometheus_client import CollectorRegistry
from prometheus_client.core import Metric
from prometheus_client.registry import Collector

from inference.durability.writer import DurableWriter
from product_classifier.metrics import definitions
from product_classifier.metrics.instruments import counter_family, gauge
from product_classifier.store.journal import Journal


class _Replayed(Collector):
    def __init__(self, writer: DurableWriter) -> None:
        self._writer = writer

    def collect(self) -> Iterable[Metric]:
        replayed = counter_family(definitions.JOURNAL_REPLAYED)
        replayed.add_metric([], self._writer.replayed)
        return (replayed,)


def add_durability(registry: CollectorRegistry, writer: DurableWriter, journal: Journal | None) -> None:
    """Expose whether the store accepts writes, and the state of the journal."""
    gauge(definitions.STORE_AVAILABLE, registry, lambda: not writer.store_unavailable)
    gauge(definitions.JOURNAL_DAMAGED, registry, lambda: len(writer.damages))
    registry.register(_Replayed(writer))
    if journal is not None:
        gauge(definitions.JOURNAL_BYTES, registry, lambda: journal.size)
