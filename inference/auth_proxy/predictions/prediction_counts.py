"""Counts of predictions by release, category, decision, modality and confidence."""

from bisect import bisect_left
from collections.abc import Iterable, Mapping
from typing import Final

from prometheus_client.core import Metric
from prometheus_client.registry import Collector
from prometheus_client.utils import floatToGoString

from inference.auth_proxy.predictions.bounded_categories import OTHER, category_labels
from product_classifier.feedback.records import PredictionRecord
from product_classifier.metrics import definitions
from product_classifier.metrics.definitions import CONFIDENCE_BUCKETS
from product_classifier.metrics.instruments import counter_family, histogram_family
from product_classifier.taxonomy import Taxonomy

MAX_RELEASES: Final = 8
"""Releases whose counts are exposed; those of the release that was first used longest ago end."""
MAX_TAXONOMIES: Final = 8
_Key = tuple[str, str, str, bool, int]
"""Category label, decision, modality, degraded, and index of the bucket of the confidence."""


class PredictionCounts(Collector):
    """Counts each product with one update; `count` belongs to one thread, `collect` may run in another."""

    def __init__(self) -> None:
        self._releases: dict[str, dict[_Key, list[float]]] = {}
        """By release and key: number of products, and sum of their confidences."""
        self._labels: dict[str, Mapping[str, str]] = {}
        """Labels by code, by digest of the taxonomy."""

    def count(self, record: PredictionRecord, taxonomy: Taxonomy) -> None:
        """Count one product."""
        counts = self._releases.get(record.release)
        if counts is None:
            counts = self._add_release(record.release)
        labels = self._labels.get(taxonomy.digest)
        if labels is None:
            labels = self._add_taxonomy(taxonomy)
        text, image = record.modalities.text is not None, record.modalities.image is not None
        key = (
            labels.get(record.code, OTHER),
            record.decision or "review",
            "both" if text and image else "image" if image else "text",
            record.degraded,
            bisect_left(CONFIDENCE_BUCKETS, record.confidence),
        )
        cell = counts.get(key)
        if cell is None:
            counts[key] = [1, record.confidence]
        else:
            cell[0] += 1
            cell[1] += record.confidence

    def collect(self) -> Iterable[Metric]:
        products = counter_family(definitions.PREDICTIONS)
        confidence = histogram_family(definitions.PREDICTION_CONFIDENCE)
        for release, counts in self._releases.copy().items():
            totals: dict[tuple[str, str, str, bool], float] = {}
            buckets = [0.0] * (len(CONFIDENCE_BUCKETS) + 1)
            total = 0.0
            for (category, decision, modality, degraded, bucket), (number, summed) in counts.copy().items():
                key = (category, decision, modality, degraded)
                totals[key] = totals.get(key, 0) + number
                buckets[bucket] += number
                total += summed
            for (category, decision, modality, degraded), number in totals.items():
                products.add_metric([release, category, decision, modality, str(degraded).lower()], number)
            confidence.add_metric([release], _cumulative(buckets), total)
        return products, confidence

    def _add_release(self, release: str) -> dict[_Key, list[float]]:
        if len(self._releases) >= MAX_RELEASES:
            del self._releases[next(iter(self._releases))]
        return self._releases.setdefault(release, {})

    def _add_taxonomy(self, taxonomy: Taxonomy) -> Mapping[str, str]:
        if len(self._labels) >= MAX_TAXONOMIES:
            del self._labels[next(iter(self._labels))]
        return self._labels.setdefault(taxonomy.digest, category_labels(taxonomy))


def _cumulative(buckets: list[float]) -> list[tuple[str, float]]:
    """Return the buckets of a histogram, each with the number of values up to its bound."""
    bounds = [*map(floatToGoString, CONFIDENCE_BUCKETS), "+Inf"]
    return [(bound, sum(buckets[: index + 1])) for index, bound in enumerate(bounds)]
