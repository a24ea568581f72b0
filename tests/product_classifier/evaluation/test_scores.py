import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from sklearn.metrics import confusion_matrix, f1_score, precision_recall_fscore_support

from product_classifier.evaluation.scores import confusion, coverage, per_category, score, weighted_f1

CLASSES = 6
ITEMS = st.lists(st.tuples(st.integers(0, CLASSES - 1), st.integers(0, CLASSES - 1)), min_size=1, max_size=60)


def certain(answers: np.ndarray) -> np.ndarray:
    return np.eye(CLASSES, dtype=np.float32)[answers]


@given(ITEMS)
def test_scores_equal_the_reference_implementation(items: list[tuple[int, int]]) -> None:
    labels, answers = np.array(items).T
    found = score(certain(answers), labels)

    present = np.unique(labels)
    expected = (
        f1_score(labels, answers, average="weighted", zero_division=0),
        f1_score(labels, answers, average="macro", labels=present, zero_division=0),
        (labels == answers).mean(),
    )
    assert expected == pytest.approx((found.weighted_f1, found.macro_f1, found.accuracy))
    assert found.weighted_f1 == pytest.approx(weighted_f1(certain(answers), labels))


@given(ITEMS)
def test_confusion_and_category_scores_equal_the_reference_implementation(items: list[tuple[int, int]]) -> None:
    labels, answers = np.array(items).T
    classes = list(range(CLASSES))

    assert np.array_equal(confusion_matrix(labels, answers, labels=classes), confusion(certain(answers), labels))
    columns = precision_recall_fscore_support(labels, answers, labels=classes, zero_division=0)
    found = [(one.precision, one.recall, one.f1, one.items) for one in per_category(certain(answers), labels)]
    assert np.allclose(np.array(columns).T, np.array(found))


def test_scores_without_items_are_zero() -> None:
    found = score(np.zeros((0, CLASSES), np.float32), np.zeros(0, np.int64))

    assert (0.0, 0) == (found.weighted_f1, found.items)


@pytest.mark.parametrize(
    ("confidence", "right", "expected"),
    [
        ([0.9, 0.8, 0.7], [True, True, True], 1.0),
        ([0.9, 0.8, 0.7], [True, True, False], 2 / 3),
        ([0.9, 0.8, 0.7], [False, True, True], 0.0),
        ([0.9, 0.9, 0.7], [True, False, True], 0.0),
        ([0.5] * 3 + [0.4], [True] * 3 + [False], 0.75),
    ],
)
def test_coverage_is_the_largest_share_with_the_precision(
    confidence: list[float], right: list[bool], expected: float
) -> None:
    assert expected == pytest.approx(coverage(np.array(confidence), np.array(right), 0.99))


def test_a_calibrated_model_has_no_calibration_error() -> None:
    probabilities = np.tile(np.array([0.75, 0.25]), (400, 1))
    labels = np.array([0, 0, 0, 1] * 100)

    assert score(probabilities, labels).ece == pytest.approx(0)
    assert score(probabilities, 1 - labels).ece == pytest.approx(0.5)
