import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from hypothesis.extra.numpy import arrays

from product_classifier.evaluation.scores import calibration_error
from product_classifier.fusion.calibration import fit_logit_scale, fit_margin_calibration
from product_classifier.probabilities import softmax, softplus_logits

CLASSES = 27


def margins(items: int, seed: int) -> np.ndarray:
    """Return margins like those of support vector machines: about -1, and up to 1 for the true category."""
    random = np.random.default_rng(seed)
    found = random.normal(-1, 0.15, (items, CLASSES))
    found[np.arange(items), random.integers(0, CLASSES, items)] += random.uniform(0, 2, items)
    return found.astype(np.float32)


def draw(probabilities: np.ndarray, seed: int) -> np.ndarray:
    """Draw a label per row from its probabilities, which are therefore calibrated."""
    uniform = np.random.default_rng(seed).random((len(probabilities), 1))
    return np.minimum((probabilities.cumsum(axis=1) < uniform).sum(axis=1), CLASSES - 1)


@pytest.mark.parametrize(("factor", "offset"), [(6.0, 3.0), (9.0, 5.0), (12.0, 8.0)])
def test_margins_become_calibrated_probabilities(factor: float, offset: float) -> None:
    fitted, evaluated = margins(2_000, 1), margins(20_000, 2)
    truth = [softmax(softplus_logits(factor * one + offset)) for one in (fitted, evaluated)]
    found = fit_margin_calibration(fitted, draw(truth[0], 3))

    probabilities, labels = softmax(softplus_logits(found[0] * evaluated + found[1])), draw(truth[1], 4)
    assert calibration_error(probabilities.max(axis=1), probabilities.argmax(axis=1) == labels) < 0.02


def test_a_few_labels_stay_near_the_prior() -> None:
    few = margins(6, 1)

    factor, offset = fit_margin_calibration(few, few.argmax(axis=1))
    prior = fit_margin_calibration(np.zeros((0, CLASSES), np.float32), np.zeros(0, np.int64))
    assert (9.0, 5.0) == pytest.approx(prior, rel=0.01)
    assert prior == pytest.approx((factor, offset), rel=0.5)


@given(arrays(np.float32, CLASSES, elements=st.floats(-60, 60, width=32)))
def test_softplus_logits_keep_the_order_of_categories(raw: np.ndarray) -> None:
    order = np.argsort(raw, kind="stable")

    assert (np.diff(softplus_logits(raw)[order]) >= 0).all()
    assert raw.argmax() == softplus_logits(raw).argmax() or raw.max() - np.sort(raw)[-2] < 1e-3


def test_without_labels_the_scale_is_one() -> None:
    assert 1.0 == fit_logit_scale(np.zeros((0, CLASSES)), np.zeros(0, np.int64))
