import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from product_classifier.decisions import NEVER_ACCEPTED
from product_classifier.fusion.thresholds import RISK, fit_thresholds, lowest_threshold
from product_classifier.top_probabilities import TopProbabilities

SEEDS = st.integers(0, 2**32 - 1)


def draw(rng: np.random.Generator, count: int, calibration: float = 1.0) -> tuple[np.ndarray, np.ndarray]:
    """Return confidences and whether they are right, with a probability of confidence ** calibration."""
    confidence = rng.uniform(0.2, 1, count).astype(np.float32)
    return confidence, rng.random(count) < confidence**calibration


@settings(max_examples=30, deadline=None)
@given(SEEDS, st.integers(0, 600), st.sampled_from([0.5, 0.8, 0.95, 0.99]), st.integers(1, 200))
def test_the_accepted_predictions_hold_the_target_and_ties_share_a_decision(
    seed: int, count: int, target: float, levels: int
) -> None:
    confidence, correct = draw(np.random.default_rng(seed), count)
    confidence = np.round(confidence * levels) / levels  # many equal confidences

    threshold = lowest_threshold(confidence, correct, target)

    accepted = confidence > threshold
    assert 0 <= threshold <= NEVER_ACCEPTED
    assert not accepted.any() or correct[accepted].mean() >= target
    assert threshold in {0.0, NEVER_ACCEPTED} or not np.isclose(confidence, threshold, atol=1e-6).any()


@pytest.mark.parametrize("calibration", [0.5, 1.0, 2.0], ids=["underconfident", "calibrated", "overconfident"])
@pytest.mark.parametrize(("target", "count"), [(0.8, 300), (0.9, 1000)])
def test_the_true_precision_is_rarely_below_the_target(calibration: float, target: float, count: int) -> None:
    rng = np.random.default_rng(5)
    repeats, missed, found = 120, 0, 0
    many = rng.uniform(0.2, 1, 20_000)
    for _ in range(repeats):
        threshold = lowest_threshold(*draw(rng, count, calibration), target)
        accepted = many[many > threshold]
        found += len(accepted) > 0
        missed += len(accepted) > 0 and (accepted**calibration).mean() < target

    assert missed / repeats <= RISK + 3 * np.sqrt(RISK / repeats)
    assert found > 0.5 * repeats or calibration > 1


@pytest.mark.parametrize(("count", "accepted"), [(0, 0), (58, 0), (120, 120)])
def test_few_predictions_show_nothing_even_if_all_are_right(count: int, accepted: int) -> None:
    threshold = lowest_threshold(np.full(count, 0.9, np.float32), np.ones(count, bool), 0.95)

    assert accepted == int((np.full(count, 0.9) > threshold).sum())


def probabilities_of(predicted: np.ndarray, confidence: np.ndarray, classes: int) -> np.ndarray:
    found = np.full((len(predicted), classes), 0.0, np.float32)
    found[np.arange(len(predicted)), predicted] = confidence
    return found


def test_a_category_has_its_own_the_common_or_no_threshold() -> None:
    """Category 0 is mostly right, 1 has few products, 2 is mostly wrong, 3 has no products."""
    rng = np.random.default_rng(8)
    counts, rates = [2000, 20, 60], [0.97, 0.97, 0.6]
    predicted = np.repeat([0, 1, 2], counts)
    confidence = rng.uniform(0.85, 1, len(predicted))
    labels = np.where(rng.random(len(predicted)) < np.repeat(rates, counts), predicted, 3)

    thresholds = fit_thresholds(TopProbabilities.of(probabilities_of(predicted, confidence, 4)), labels, 0.9)

    common = lowest_threshold(confidence, labels == predicted, 0.9)
    assert 0 == thresholds[0]
    assert [common, common] == pytest.approx(thresholds[[1, 3]].tolist())
    assert NEVER_ACCEPTED == thresholds[2]
