"""Statistics of two samples, against scikit-learn and scipy."""

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from scipy.sparse import csr_matrix
from scipy.stats import ks_2samp
from sklearn.metrics import roc_auc_score

from product_classifier.monitoring.two_samples import auc, domain_auc, ks_distance, largest_scaled_difference, shares

SAMPLES = st.lists(st.integers(-3, 3).map(float), min_size=1, max_size=30).map(np.array)


@given(SAMPLES, SAMPLES)
def test_the_distance_is_that_of_scipy(first: np.ndarray, second: np.ndarray) -> None:
    assert ks_2samp(first, second).statistic == pytest.approx(ks_distance(first, second))


@given(SAMPLES, SAMPLES)
def test_the_area_is_that_of_sklearn(positive: np.ndarray, negative: np.ndarray) -> None:
    labels = np.repeat([1, 0], [len(positive), len(negative)])

    assert roc_auc_score(labels, np.concatenate([positive, negative])) == pytest.approx(auc(positive, negative))


def test_shares_count_values_that_do_not_occur() -> None:
    assert [0.5, 0, 0.5, 0] == shares(np.array([0, 2]), 4).tolist()
    assert [0, 0] == shares(np.array([], np.int64), 2).tolist()


def test_a_rare_category_is_no_large_difference() -> None:
    reference = np.array([0.96, 0.04, 0.0])

    assert 0.25 == pytest.approx(largest_scaled_difference(np.array([0.91, 0.09, 0.0]), reference), abs=0.01)
    assert 0.1 > largest_scaled_difference(np.array([0.957, 0.038, 0.005]), reference)


@pytest.mark.parametrize("sparse", [False, True])
def test_domains_are_distinguished_only_if_they_differ(sparse: bool) -> None:
    rng = np.random.default_rng(0)
    rows = (rng.random((900, 40)) < 0.3).astype(np.float32)
    shifted = rows[:300].copy()
    shifted[:150, 0] = 1
    kind = csr_matrix if sparse else np.asarray

    assert 0.5 == pytest.approx(domain_auc(kind(rows[:300]), kind(rows[300:]), rng), abs=0.06)
    assert 0.6 < domain_auc(kind(shifted), kind(rows[300:]), rng)
