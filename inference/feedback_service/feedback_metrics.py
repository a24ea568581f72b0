"""Prometheus metrics of the feedback service."""

from collections.abc import Callable

from prometheus_client import CollectorRegistry, Counter, Gauge, Histogram, generate_latest

from inference.http.log_metrics import LogCollector

BUCKETS = (0.001, 0.002, 0.005, 0.01, 0.015, 0.025, 0.05, 0.1, 0.25, 0.5, 1, 2.5, 5, 10)


class FeedbackMetrics:
    """Metrics of one application, in a separate registry so that a process may hold several."""

    def __init__(self) -> None:
        self._registry = CollectorRegistry()
        self._registry.register(LogCollector())
        self._seconds = Histogram(
            "feedback_request_seconds",
            "Duration of requests in seconds.",
            ["method", "route", "status"],
            buckets=BUCKETS,
            registry=self._registry,
        )
        self._acknowledged = Counter(
            "feedback_acknowledged_total",
            "Acknowledged corrections, by where they are durable.",
            ["where"],
            registry=self._registry,
        )

    def add_gauge(self, name: str, help_text: str, read: Callable[[], float]) -> None:
        """Add a gauge whose value is read at each scrape."""
        Gauge(name, help_text, registry=self._registry).set_function(read)

    def acknowledged(self, where: str) -> None:
        """Count a correction; `where` is store, journal or replay."""
        self._acknowledged.labels(where).inc()

    def responded(self, method: str, route: str, status: int, seconds: float) -> None:
        """Record the duration of a request."""
        self._seconds.labels(method, route, str(status)).observe(seconds)

    def exposition(self) -> bytes:
        """Return all metrics in Prometheus text format."""
        return generate_latest(self._registry)
