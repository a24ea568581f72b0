"""Prometheus metrics of the model servers."""

from collections.abc import Iterable, Mapping
from functools import cache, lru_cache

from prometheus_client import Counter, Histogram
from prometheus_client.core import GaugeMetricFamily, Metric
from prometheus_client.registry import REGISTRY, Collector

from inference.http.log_metrics import LogCollector
from inference.model_server.loaded_releases import LoadedReleases

BUCKETS_S = (0.001, 0.002, 0.004, 0.008, 0.016, 0.032, 0.064, 0.128, 0.256, 0.512, 1, 2, 4)
REQUESTS = Counter("model_requests", "Requests by outcome.", ["model_name", "protocol", "outcome"])
SECONDS = Histogram(
    "model_request_seconds",
    "Time from the complete request to the response.",
    ["model_name", "protocol"],
    buckets=BUCKETS_S,
)
PREDICTOR_REQUESTS = Counter("fusion_hops", "Requests to a predictor by outcome.", ["predictor", "outcome"])
DEGRADED = Counter("fusion_degraded", "Responses without a modality that the product has.", ["missing"])

FUSION_RESPONSES = Counter(
    "fusion_answers",
    "Responses by release, role (champion, canary, shadow, named) and outcome.",
    ["release", "role", "outcome"],
)
FUSION_SECONDS = Histogram(
    "fusion_answer_seconds", "Response time of a release in its role.", ["release", "role"], buckets=BUCKETS_S
)
SHADOW_ROWS = Counter(
    "fusion_shadow_rows",
    "Products predicted by a shadow, by whether it predicted the same category as the champion.",
    ["release", "category"],
)


def count_request(model: str, protocol: str, outcome: str, seconds: float) -> None:
    """Record the outcome and duration of one request."""
    count, time = _request_metrics(model, protocol, outcome)
    count.inc()
    time.observe(seconds)


@cache
def _request_metrics(model: str, protocol: str, outcome: str) -> tuple[Counter, Histogram]:
    """Return the labeled metrics; a lookup of labels costs more than an increment, hence the cache."""
    return REQUESTS.labels(model, protocol, outcome), SECONDS.labels(model, protocol)


def count_fusion(release: str, role: str, outcome: str, seconds: float) -> None:
    """Record the outcome and duration of one response of a release in a role."""
    count, time = _fusion_metrics(release, role, outcome)
    count.inc()
    time.observe(seconds)


@lru_cache(maxsize=256)
def _fusion_metrics(release: str, role: str, outcome: str) -> tuple[Counter, Histogram]:
    return FUSION_RESPONSES.labels(release, role, outcome), FUSION_SECONDS.labels(release, role)


class ReleaseCollector(Collector):
    """Exposes the releases in memory, and whether one was refused, as of each scrape."""

    def __init__(self, releases: Mapping[str, LoadedReleases[object]]) -> None:
        self._releases = releases

    def collect(self) -> Iterable[Metric]:
        info = GaugeMetricFamily(
            "model_release_info", "1 for every release in memory.", labels=["model_name", "release", "version", "state"]
        )
        refused = GaugeMetricFamily(
            "model_release_refused", "1 while the requested release is refused.", labels=["model_name"]
        )
        others_refused = GaugeMetricFamily(
            "model_other_releases_refused",
            "Releases of this container besides the current one that are missing or damaged.",
            labels=["model_name"],
        )
        for name, releases in self._releases.items():
            for position, loaded in enumerate(releases.loaded()):
                state = "held" if position else "current"
                info.add_metric([name, loaded.release, loaded.version, state], 1)
            refused.add_metric([name], float(bool(releases.refused)))
            others_refused.add_metric([name], releases.others_refused)
        return info, refused, others_refused


def register_collectors(releases: Mapping[str, LoadedReleases[object]]) -> None:
    """Expose the releases of these models, by model name, and dropped log lines in the process's metrics."""
    REGISTRY.register(ReleaseCollector(releases))
    REGISTRY.register(LogCollector())
