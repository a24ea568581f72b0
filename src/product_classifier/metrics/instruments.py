"""Instruments of prometheus_client, made of the definitions."""

import os
from collections.abc import Callable, Iterable
from importlib.metadata import version
from pathlib import Path

import prometheus_client
from prometheus_client import CollectorRegistry, Counter, Gauge, Histogram, ProcessCollector
from prometheus_client.core import CounterMetricFamily, GaugeMetricFamily, HistogramMetricFamily, Metric
from prometheus_client.registry import Collector

from product_classifier.metrics import definitions
from product_classifier.metrics.definitions import MetricDefinition
from product_classifier.observability import dropped_log_lines

CONTENT_TYPE = "text/plain; version=0.0.4; charset=utf-8"
DISTRIBUTION = "product-classifier"

prometheus_client.disable_created_metrics()  # type: ignore[no-untyped-call]  # a second series for each, which nothing reads


def counter(definition: MetricDefinition, registry: CollectorRegistry) -> Counter:
    """Return the counter of a definition."""
    return Counter(definition.name, definition.description, definition.labels, registry=registry)


def gauge(definition: MetricDefinition, registry: CollectorRegistry, read: Callable[[], float] | None = None) -> Gauge:
    """Return the gauge of a definition; `read` is called by each scrape."""
    made = Gauge(definition.name, definition.description, definition.labels, registry=registry)
    if read is not None:
        made.set_function(read)
    return made


def histogram(definition: MetricDefinition, registry: CollectorRegistry) -> Histogram:
    """Return the histogram of a definition."""
    return Histogram(
        definition.name, definition.description, definition.labels, buckets=definition.buckets, registry=registry
    )


def gauge_family(definition: MetricDefinition) -> GaugeMetricFamily:
    """Return an empty family for a collector."""
    return GaugeMetricFamily(definition.name, definition.description, labels=definition.labels)


def counter_family(definition: MetricDefinition) -> CounterMetricFamily:
    """Return an empty family for a collector."""
    return CounterMetricFamily(definition.name, definition.description, labels=definition.labels)


def histogram_family(definition: MetricDefinition) -> HistogramMetricFamily:
    """Return an empty family for a collector."""
    return HistogramMetricFamily(definition.name, definition.description, labels=definition.labels)


class Durations:
    """A histogram of seconds by labels, which are looked up once: a lookup costs more than an observation."""

    def __init__(self, definition: MetricDefinition, registry: CollectorRegistry) -> None:
        self._histogram = histogram(definition, registry)
        self._children: dict[tuple[object, ...], Histogram] = {}

    def observe(self, seconds: float, *labels: object) -> None:
        """Add one duration; the labels, in the order of the definition, must have bounded values."""
        child = self._children.get(labels)
        if child is None:
            child = self._children[labels] = self._histogram.labels(*labels)
        child.observe(seconds)


class ProcessMetrics(Collector):
    """What every process exposes: its version, and the log lines it dropped."""

    def collect(self) -> Iterable[Metric]:
        build = gauge_family(definitions.BUILD_INFO)
        build.add_metric([version(DISTRIBUTION)], 1)
        dropped = counter_family(definitions.LOG_LINES_DROPPED)
        for reason, count in dropped_log_lines().items():
            dropped.add_metric([reason], count)
        return build, dropped


def service_registry() -> CollectorRegistry:
    """Return a registry with the metrics of the process, separate so that one process may hold several."""
    registry = CollectorRegistry()
    ProcessCollector(registry=registry)
    registry.register(ProcessMetrics())
    return registry


def add_volume(registry: CollectorRegistry, folder: Path) -> None:
    """Expose size and free bytes of the volume with this folder."""
    gauge(definitions.VOLUME_FREE_BYTES, registry, lambda: _volume(folder)[0])
    gauge(definitions.VOLUME_SIZE_BYTES, registry, lambda: _volume(folder)[1])


def exposition(registry: CollectorRegistry) -> bytes:
    """Return all metrics in Prometheus' text format."""
    return prometheus_client.generate_latest(registry)


def _volume(folder: Path) -> tuple[float, float]:
    """Return free and all bytes; NaN while the folder does not exist."""
    try:
        found = os.statvfs(folder)
    except OSError:
        return float("nan"), float("nan")
    return float(found.f_bavail * found.f_frsize), float(found.f_blocks * found.f_frsize)
