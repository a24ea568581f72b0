"""What Prometheus reads about a model server."""

from collections.abc import Iterable, Mapping
from functools import cache, lru_cache

from prometheus_client import Counter, Histogram
from prometheus_client.core import GaugeMetricFamily, Metric
from prometheus_client.registry import REGISTRY, Collector

from inference.model_server.loaded_releases import LoadedReleases

BUCKETS_S = (0.001, 0.002, 0.004, 0.008, 0.016, 0.032, 0.064, 0.128, 0.256, 0.512, 1, 2, 4)
REQUESTS = Counter("model_requests", "Requests answered, by outcome.", ["model_name", "protocol", "outcome"])
SECONDS = Histogram(
    "model_request_seconds",
    "Time from the whole request read to the answer made.",
    ["model_name", "protocol"],
    buckets=BUCKETS_S,
)
HOPS = Counter("fusion_hops", "Questions to a predictor, by outcome.", ["predictor", "outcome"])
DEGRADED = Counter("fusion_degraded", "Answers given without a modality the product has.", ["missing"])

FUSION_ANSWERS = Counter(
    "fusion_answers",
    "Answers by release, by its role (champion, canary, shadow, named) and how they ended.",
    ["release", "role", "outcome"],
)
FUSION_SECONDS = Histogram(
    "fusion_answer_seconds", "Time a release took to answer in its role.", ["release", "role"], buckets=BUCKETS_S
)
SHADOW_ROWS = Counter(
    "fusion_shadow_rows",
    "Products a shadow was asked about, by whether it named the same category.",
    ["release", "category"],
)


def answered(model: str, protocol: str, outcome: str, seconds: float) -> None:
    """Count one request."""
    count, time = _of_request(model, protocol, outcome)
    count.inc()
    time.observe(seconds)


@cache
def _of_request(model: str, protocol: str, outcome: str) -> tuple[Counter, Histogram]:
    """Find both once: looking them up costs more than counting."""
    return REQUESTS.labels(model, protocol, outcome), SECONDS.labels(model, protocol)


def fused(release: str, role: str, outcome: str, seconds: float) -> None:
    """Count one answer of a release."""
    count, time = _of_answer(release, role, outcome)
    count.inc()
    time.observe(seconds)


@lru_cache(maxsize=256)
def _of_answer(release: str, role: str, outcome: str) -> tuple[Counter, Histogram]:
    return FUSION_ANSWERS.labels(release, role, outcome), FUSION_SECONDS.labels(release, role)


class ReleaseCollector(Collector):
    """Shows the releases in memory and how many were refused, as they are at the moment of asking."""

    def __init__(self, releases: Mapping[str, LoadedReleases[object]]) -> None:
        self._releases = releases

    def collect(self) -> Iterable[Metric]:
        info = GaugeMetricFamily(
            "model_release_info", "1 for every release in memory.", labels=["model_name", "release", "version", "state"]
        )
        refused = GaugeMetricFamily(
            "model_release_refused", "1 while the release asked for was refused.", labels=["model_name"]
        )
        for name, releases in self._releases.items():
            for place, loaded in enumerate(releases.loaded()):
                info.add_metric([name, loaded.release, loaded.version, "held" if place else "current"], 1)
            refused.add_metric([name], float(bool(releases.refused)))
        return info, refused


def watch_releases(releases: Mapping[str, LoadedReleases[object]]) -> None:
    """Show the releases of this process's models in its metrics."""
    REGISTRY.register(ReleaseCollector(releases))
