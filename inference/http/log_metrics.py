"""The Prometheus counter of dropped log lines."""

from collections.abc import Iterable

from prometheus_client.core import CounterMetricFamily, Metric
from prometheus_client.registry import Collector

from product_classifier.observability import dropped_log_lines


class LogCollector(Collector):
    """Exposes how many log lines of this process were dropped because nothing read them."""

    def collect(self) -> Iterable[Metric]:
        dropped = CounterMetricFamily("log_lines_dropped", "Log lines dropped because nothing read them.")
        dropped.add_metric([], dropped_log_lines())
        return (dropped,)
