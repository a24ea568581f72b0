from pathlib import Path

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from product_classifier.catalogue.challenge import CHALLENGE
from product_classifier.probabilities import softmax
from product_classifier.releases.release import load_text
from product_classifier.text.features import TextFeatures
from product_classifier.text.hashed_linear import HashedLinear
from product_classifier.text.loading import load_text_model
from product_classifier.text.model import TextModel
from product_classifier.text.normalization import normalize

CODES = CHALLENGE.codes
BUCKETS = 2**10


@pytest.fixture(scope="session")
def model(release_dir: Path) -> TextModel:
    return load_text(release_dir)[0]


@pytest.fixture(scope="module")
def linear() -> HashedLinear:
    rng = np.random.default_rng(1)
    table = rng.normal(0, 1, (BUCKETS, len(CODES))).astype(np.float32)
    idf = rng.uniform(1, 5, BUCKETS).astype(np.float32)
    idf[rng.random(BUCKETS) < 0.3] = 0
    table[idf == 0] = 0
    prior = np.full(len(CODES), 1 / len(CODES), np.float32)
    return HashedLinear(
        TextFeatures(BUCKETS), table, idf, rng.normal(0, 1, len(CODES)).astype(np.float32), prior, CODES
    )


@settings(max_examples=60, deadline=None)
@given(st.lists(st.tuples(st.text(max_size=60), st.text(max_size=60)), max_size=5))
def test_any_text_gets_probabilities(linear: HashedLinear, products: list[tuple[str, str]]) -> None:
    probabilities = linear.probabilities([title for title, _ in products], [body for _, body in products])

    assert ((len(products), len(CODES)), np.float32) == (probabilities.shape, probabilities.dtype)
    assert np.isfinite(probabilities).all()
    assert np.allclose(probabilities.sum(axis=1), 1, atol=1e-5)


@settings(max_examples=30, deadline=None)
@given(st.lists(st.text(max_size=60), min_size=2, max_size=5))
def test_a_prediction_does_not_depend_on_the_batch(linear: HashedLinear, titles: list[str]) -> None:
    together = linear.probabilities(titles, [""] * len(titles))

    alone = np.concatenate([linear.probabilities([title], [""]) for title in titles])
    assert np.array_equal(alone, together)


@settings(max_examples=30, deadline=None)
@given(st.text(max_size=80), st.text(max_size=80))
def test_margins_equal_the_sparse_product_of_training(linear: HashedLinear, title: str, body: str) -> None:
    """The gathered sum equals the sparse TF-IDF product, view by view, that scikit-learn fits."""
    text = normalize(title, body)
    row = linear.features.matrix([text]).toarray()[0].astype(np.float64)
    expected = linear.bias.astype(np.float64)
    for start, end in zip(linear.features.views[:-1], linear.features.views[1:], strict=True):
        weighted = row[start:end] * linear.idf[start:end]
        if length := np.linalg.norm(weighted):
            expected = expected + row[start:end] @ linear.table[start:end].astype(np.float64) / length

    assert np.allclose(expected, linear.margins([text])[0], atol=1e-4)


def test_a_product_without_words_gets_the_prior(model: TextModel) -> None:
    probabilities = model.probabilities(["", "<br/>", "!!!"], ["", "&nbsp;", ""])

    assert np.allclose(model.prior, probabilities)
    assert model.prior.min() > 0


def test_a_product_of_unknown_words_gets_finite_probabilities(model: TextModel) -> None:
    probabilities = model.probabilities(["кот"], [""])

    assert np.isfinite(probabilities).all()


def test_category_labels_are_classified_correctly(model: TextModel) -> None:
    names = [category.label("fr") for category in CHALLENGE]

    correct = model.probabilities(names, [""] * len(names)).argmax(axis=1) == np.arange(len(names))
    assert correct.mean() > 0.9


def test_a_saved_model_returns_the_same_probabilities(linear: HashedLinear, tmp_path: Path) -> None:
    linear.save(tmp_path)

    products = ["table basse", "piscine"], ["", "grande"]
    assert np.array_equal(linear.probabilities(*products), load_text_model(tmp_path).probabilities(*products))


def test_equal_models_write_equal_files(linear: HashedLinear, tmp_path: Path) -> None:
    for name in ("a", "b"):
        (tmp_path / name).mkdir()
        linear.save(tmp_path / name)

    assert (tmp_path / "a/weights.npz").read_bytes() == (tmp_path / "b/weights.npz").read_bytes()


def test_a_missing_description_is_refused(linear: HashedLinear) -> None:
    with pytest.raises(ValueError, match="2 designations but 1 descriptions"):
        linear.probabilities(["a", "b"], ["c"])


def test_softmax_does_not_overflow() -> None:
    assert [1.0, 0.0] == softmax(np.array([1e30, -1e30], np.float32)).tolist()
