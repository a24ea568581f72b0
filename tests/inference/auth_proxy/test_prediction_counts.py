"""Counts of predictions: one update per product, and bounded series for a taxonomy of any size."""

from collections import Counter
from datetime import UTC, datetime

import pytest
from hypothesis import given
from hypothesis import strategies as st

from inference.auth_proxy.predictions.bounded_categories import MAX_VALUES, OTHER, category_labels
from inference.auth_proxy.predictions.prediction_counts import MAX_RELEASES, PredictionCounts
from product_classifier.decisions import Decision
from product_classifier.feedback.records import (
    CategoryProbability,
    Modalities,
    PredictionRecord,
    ProductContent,
    new_id,
)
from product_classifier.metrics.definitions import CONFIDENCE_BUCKETS
from product_classifier.taxonomy import Taxonomy
from product_classifier.taxonomy.category import Category


def record(code: str, confidence: float, decision: Decision, parts: str, release: str = "r-1") -> PredictionRecord:
    found = CategoryProbability(code=code, probability=confidence)
    return PredictionRecord(
        prediction_id=new_id(),
        created=datetime.now(UTC),
        user="ada",
        product=ProductContent(designation="x", description="", image_sha256=None),
        code=code,
        confidence=confidence,
        decision=decision,
        top=(found,),
        modalities=Modalities(text=found if "t" in parts else None, image=found if "i" in parts else None),
        degraded=False,
        release=release,
    )


def flat(size: int) -> Taxonomy:
    return Taxonomy(tuple(Category(f"c{number}") for number in range(size)))


def tree(roots: int, children: int) -> Taxonomy:
    return Taxonomy(
        tuple(
            category
            for root in range(roots)
            for category in (
                Category(f"r{root}"),
                *(Category(f"r{root} > {child}", parent=f"r{root}") for child in range(children)),
            )
        )
    )


FEW = flat(3)
PRODUCTS = st.lists(
    st.tuples(
        st.sampled_from(FEW.codes),
        st.floats(0, 1),
        st.sampled_from(["accept", "review"]),
        st.sampled_from(["t", "i", "ti"]),
    )
)


@given(PRODUCTS)
def test_the_series_add_up_to_the_products(products: list[tuple[str, float, Decision, str]]) -> None:
    counts = PredictionCounts()
    for one in products:
        counts.count(record(*one), FEW)

    totals, histogram = counts.collect()
    modality = {"t": "text", "i": "image", "ti": "both"}
    expected = Counter((code, decision, modality[parts]) for code, _, decision, parts in products)
    found = {(s.labels["category"], s.labels["decision"], s.labels["modality"]): s.value for s in totals.samples}
    assert expected == found
    buckets = {s.labels["le"]: s.value for s in histogram.samples if s.name.endswith("_bucket")}
    for bound in CONFIDENCE_BUCKETS:
        assert sum(one[1] <= bound for one in products) == buckets.get(str(bound), 0)
    assert len(products) == buckets.get("+Inf", 0)
    assert sum(one[1] for one in products) == pytest.approx(sum(s.value for s in histogram.samples if "_sum" in s.name))


@pytest.mark.parametrize(
    ("taxonomy", "values"),
    [(flat(2), 2), (flat(100), 100), (flat(101), 100), (flat(10_000), 100), (tree(20, 500), 20), (tree(2, 40), 80)],
    ids=["2", "100", "101", "10,000", "10,000 below 20", "80 below 2"],
)
def test_the_category_has_at_most_100_values(taxonomy: Taxonomy, values: int) -> None:
    labels = category_labels(taxonomy)

    assert set(labels) == set(taxonomy.codes)
    assert values == len(set(labels.values())) <= MAX_VALUES
    assert set(labels.values()) <= {*taxonomy.codes, OTHER, *(code for code in taxonomy.children())}


def test_the_releases_are_the_newest_few() -> None:
    counts = PredictionCounts()
    for number in range(MAX_RELEASES + 3):
        counts.count(record("c1", 0.5, "accept", "t", f"r-{number}"), FEW)

    releases = [sample.labels["release"] for sample in counts.collect()[0].samples]
    assert [f"r-{number}" for number in range(3, MAX_RELEASES + 3)] == releases
