import numpy as np
import pytest

from product_classifier.evaluation.resampling import bootstrap_gains
from product_classifier.evaluation.scores import weighted_f1

CLASSES = 4


@pytest.fixture
def labels() -> np.ndarray:
    return np.random.default_rng(1).integers(0, CLASSES, 300)


def wrong_in(labels: np.ndarray, share: float, seed: int) -> np.ndarray:
    random = np.random.default_rng(seed)
    return np.where(random.random(len(labels)) < share, random.integers(0, CLASSES, len(labels)), labels)


def test_the_f1_of_a_resample_equals_that_of_its_items(labels: np.ndarray) -> None:
    old, new = wrong_in(labels, 0.4, 2), wrong_in(labels, 0.2, 3)
    weights = np.random.default_rng(27).multinomial(len(labels), np.full(len(labels), 1 / len(labels)), 3)
    expected = []
    for counts in weights:
        rows = np.repeat(np.arange(len(labels)), counts)
        scores = [weighted_f1(np.eye(CLASSES)[answers[rows]], labels[rows]) for answers in (old, new)]
        expected.append(scores[1] - scores[0])

    assert expected == pytest.approx(bootstrap_gains(old, new, labels, CLASSES, resamples=3))


def test_equal_seeds_give_equal_resamples(labels: np.ndarray) -> None:
    old, new = wrong_in(labels, 0.4, 2), wrong_in(labels, 0.3, 3)

    assert 450 == len(bootstrap_gains(old, new, labels, CLASSES, resamples=450))
    assert np.array_equal(
        bootstrap_gains(old, new, labels, CLASSES, 250), bootstrap_gains(old, new, labels, CLASSES, 250)
    )


@pytest.mark.parametrize(
    ("old", "new", "low", "high"), [(0.4, 0.2, 0.99, 1.0), (0.2, 0.4, 0.0, 0.01)], ids=["better", "worse"]
)
def test_a_clear_difference_is_found_in_nearly_all_resamples(
    labels: np.ndarray, old: float, new: float, low: float, high: float
) -> None:
    share = (bootstrap_gains(wrong_in(labels, old, 2), wrong_in(labels, new, 3), labels, CLASSES) > 0).mean()

    assert low <= share <= high


def test_equal_predictions_have_no_gain(labels: np.ndarray) -> None:
    answers = wrong_in(labels, 0.3, 2)

    assert 0 == np.abs(bootstrap_gains(answers, answers, labels, CLASSES, 200)).max()
