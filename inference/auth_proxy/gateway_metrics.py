"""Prometheus metrics of the gateway, on the internal port."""

from prometheus_client import CollectorRegistry, Counter, Gauge, Histogram

from inference.http.log_metrics import LogCollector

BUCKETS = (0.001, 0.0025, 0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1.0, 2.5, 10.0)


class GatewayMetrics:
    """Counters of one gateway in a separate registry, so that one process can hold several."""

    def __init__(self) -> None:
        self.registry = CollectorRegistry()
        self.registry.register(LogCollector())
        self._requests = Counter(
            "gateway_requests", "Requests served", ["route", "method", "status"], registry=self.registry
        )
        self._seconds = Histogram(
            "gateway_request_seconds", "Time to respond", ["route"], buckets=BUCKETS, registry=self.registry
        )
        self._predictions = Counter("gateway_predictions", "Products classified", ["degraded"], registry=self.registry)
        self._records = Counter(
            "gateway_prediction_records", "Prediction records by outcome", ["outcome"], registry=self.registry
        )
        self.record_backlog = Gauge(
            "gateway_prediction_records_waiting_bytes", "Records that are being written", registry=self.registry
        )
        self._logins = Counter("gateway_logins", "Password logins", ["outcome"], registry=self.registry)

    def count_request(self, route: str, method: str, status: int, seconds: float) -> None:
        """Count one request and its duration."""
        self._requests.labels(route, method, str(status)).inc()
        self._seconds.labels(route).observe(seconds)

    def count_prediction(self, *, degraded: bool) -> None:
        """Count one product."""
        self._predictions.labels(str(degraded).lower()).inc()

    def count_record(self, outcome: str) -> None:
        """Count one write of prediction records."""
        self._records.labels(outcome).inc()

    def count_login(self, outcome: str) -> None:
        """Count one login attempt."""
        self._logins.labels(outcome).inc()
