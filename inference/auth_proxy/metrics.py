"""What the internal port shows to Prometheus."""

from prometheus_client import CollectorRegistry, Counter, Gauge, Histogram

BUCKETS = (0.001, 0.0025, 0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1.0, 2.5, 10.0)


class Metrics:
    """Counters of one gateway, in a registry of its own so that two can live in one process."""

    def __init__(self) -> None:
        self.registry = CollectorRegistry()
        self._requests = Counter(
            "gateway_requests", "Requests answered", ["route", "method", "status"], registry=self.registry
        )
        self._seconds = Histogram(
            "gateway_request_seconds", "Time to answer", ["route"], buckets=BUCKETS, registry=self.registry
        )
        self._predictions = Counter("gateway_predictions", "Products classified", ["degraded"], registry=self.registry)
        self._records = Counter(
            "gateway_prediction_records",
            "Prediction records by what became of them",
            ["outcome"],
            registry=self.registry,
        )
        self.records_waiting = Gauge(
            "gateway_prediction_records_waiting_bytes", "Records the store has not taken yet", registry=self.registry
        )
        self._logins = Counter("gateway_logins", "Password logins", ["outcome"], registry=self.registry)

    def answered(self, route: str, method: str, status: int, seconds: float) -> None:
        """Count one request."""
        self._requests.labels(route, method, str(status)).inc()
        self._seconds.labels(route).observe(seconds)

    def predicted(self, *, degraded: bool) -> None:
        """Count one product."""
        self._predictions.labels(str(degraded).lower()).inc()

    def recorded(self, outcome: str, count: int = 1) -> None:
        """Count prediction records."""
        self._records.labels(outcome).inc(count)

    def login(self, outcome: str) -> None:
        """Count one try."""
        self._logins.labels(outcome).inc()
