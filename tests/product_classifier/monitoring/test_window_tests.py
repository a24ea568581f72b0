"""Windows compared with a reference: quiet ones, harmless shifts and drifts, at several sizes."""

from dataclasses import replace

import numpy as np
import pytest

from product_classifier.monitoring.measured_products import MISSING, MeasuredProducts
from product_classifier.monitoring.window_tests import (
    INPUTS,
    OUTPUTS,
    compare_window,
    largest_window,
    window_statistics,
    window_thresholds,
)

PRODUCTS = 1200
CHEAP = tuple(spec for spec in INPUTS + OUTPUTS if spec.kind not in {"words", "features"})


def products(count: int, seed: int, *, language: int = 4, longer: float = 1.0, rare: float = 0.04) -> MeasuredProducts:
    """Draw products of 10 words from 300, in 12 categories."""
    rng = np.random.default_rng(seed)
    shares = np.full(12, (1 - rare) / 11)
    shares[0] = rare
    words = np.sort(rng.choice(300, (count, 10)), axis=1).astype(np.int32)
    photo = rng.random(count) < 0.9
    features = np.sqrt(rng.dirichlet(np.ones(6), count)).astype(np.float32)
    features[~photo] = MISSING

    def of_photo(values: np.ndarray) -> np.ndarray:
        return np.where(photo, values, MISSING).astype(np.float32)

    def flags(share: float) -> np.ndarray:
        return (rng.random(count) < share).astype(np.int32)

    return MeasuredProducts(
        text_length=(rng.gamma(4, 25, count) * longer).astype(np.float32),
        unknown_words=rng.beta(1, 40, count).astype(np.float32),
        language=np.where(rng.random(count) < 0.9, language, 2).astype(np.int32),
        markup=flags(0.2),
        designation_missing=flags(0.01),
        description_missing=flags(0.3),
        photo_missing=(~photo).astype(np.int32),
        photo_format=np.where(photo, 0, MISSING).astype(np.int32),
        photo_size=of_photo(rng.normal(17, 1, count)),
        brightness=of_photo(rng.beta(5, 3, count)),
        saturation=of_photo(rng.beta(2, 6, count)),
        predicted=rng.choice(12, count, p=shares).astype(np.int32),
        confidence=rng.beta(6, 1, count).astype(np.float32),
        accepted=flags(0.5),
        disagreement=np.where(photo, flags(0.3), MISSING).astype(np.int32),
        photo_features=features,
        words=(np.arange(count + 1, dtype=np.int32) * 10, words.ravel()),
    )


@pytest.fixture(scope="module")
def reference() -> MeasuredProducts:
    return products(PRODUCTS, 0)


def drifted(reference: MeasuredProducts, window: MeasuredProducts) -> set[str]:
    return {one.name for one in compare_window(reference, window) if one.drifted}


def test_of_two_hundred_quiet_windows_at_most_two_alarm(reference: MeasuredProducts) -> None:
    """The measures that are cheap to compute, all at once; `make bench ROW=drift` has the others too."""
    thresholds = window_thresholds(reference, products(300, 1), CHEAP)
    alarms = 0
    for seed in range(200):
        values = window_statistics(reference, products(300, 100 + seed), CHEAP)
        alarms += any(
            value is not None and limit is not None and value > limit
            for value, limit in zip(values, thresholds, strict=True)
        )

    assert alarms <= 2


@pytest.mark.parametrize("count", [50, 300, largest_window(products(PRODUCTS, 0))])
def test_a_harmless_shift_is_no_drift_at_any_size(reference: MeasuredProducts, count: int) -> None:
    assert set() == drifted(reference, products(count, 7, longer=1.03, rare=0.05))


@pytest.mark.parametrize(
    ("change", "expected"),
    [
        pytest.param(lambda one: replace(one, language=np.full(len(one), 2, np.int32)), "language", id="language"),
        pytest.param(lambda one: replace(one, text_length=one.text_length / 2), "text_length", id="length"),
        pytest.param(lambda one: replace(one, saturation=one.saturation * 0), "saturation", id="gray"),
        pytest.param(
            lambda one: replace(one, description_missing=np.ones(len(one), np.int32)),
            "description_missing",
            id="descriptions",
        ),
        pytest.param(lambda one: replace(one, words=(one.words[0], one.words[1] + 400)), "vocabulary", id="words"),
        pytest.param(
            lambda one: replace(one, photo_features=np.roll(np.sort(one.photo_features), 1, axis=1)),
            "photo_content",
            id="photos",
        ),
        pytest.param(lambda one: replace(one, confidence=one.confidence * 0.8), "confidence", id="confidence"),
    ],
)
def test_a_drift_is_found_and_named(reference: MeasuredProducts, change: object, expected: str) -> None:
    assert expected in drifted(reference, change(products(300, 8)))  # type: ignore[operator]


def test_a_category_that_triples_is_found_in_500_products(reference: MeasuredProducts) -> None:
    assert {"predicted_category"} == drifted(reference, products(500, 9, rare=0.12))


@pytest.mark.parametrize("count", [0, 1, 29])
def test_few_products_are_not_compared(reference: MeasuredProducts, count: int) -> None:
    found = compare_window(reference, products(count, 10))

    assert {None} == {one.value for one in found} == {one.threshold for one in found}
    assert not any(one.drifted for one in found)


def test_equal_windows_have_equal_reports(reference: MeasuredProducts) -> None:
    assert compare_window(reference, products(60, 11)) == compare_window(reference, products(60, 11))
