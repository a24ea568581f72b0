"""What the feedback service counts."""

from collections.abc import Callable

from prometheus_client import CollectorRegistry, Counter, Gauge, Histogram, generate_latest

BUCKETS = (0.001, 0.002, 0.005, 0.01, 0.015, 0.025, 0.05, 0.1, 0.25, 0.5, 1, 2.5, 5, 10)


class Measures:
    """Metrics of one application, in a registry of its own."""

    def __init__(self) -> None:
        self._registry = CollectorRegistry()
        self._seconds = Histogram(
            "feedback_request_seconds",
            "Time to answer a request.",
            ["method", "route", "status"],
            buckets=BUCKETS,
            registry=self._registry,
        )
        self._acknowledged = Counter(
            "feedback_acknowledged_total",
            "Corrections acknowledged, by where they are durable.",
            ["where"],
            registry=self._registry,
        )

    def watch(self, name: str, text: str, read: Callable[[], float]) -> None:
        """Add a value that is read when it is asked for."""
        Gauge(name, text, registry=self._registry).set_function(read)

    def acknowledged(self, where: str) -> None:
        """Count a correction; `where` is store, journal or replay."""
        self._acknowledged.labels(where).inc()

    def answered(self, method: str, route: str, status: int, seconds: float) -> None:
        """Count and time a request."""
        self._seconds.labels(method, route, str(status)).observe(seconds)

    def text(self) -> bytes:
        """Return everything as Prometheus reads it."""
        return generate_latest(self._registry)
