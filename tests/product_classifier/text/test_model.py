from pathlib import Path

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from product_classifier.releases.release import load_text
from product_classifier.taxonomy import CATEGORIES, CODES
from product_classifier.text.features import TextFeatures
from product_classifier.text.model import HashedLinear, TextModel, softmax
from product_classifier.text.normalization import normalize

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
    return HashedLinear(TextFeatures(BUCKETS), table, idf, rng.normal(0, 1, len(CODES)).astype(np.float32), prior)


@settings(max_examples=60, deadline=None)
@given(st.lists(st.tuples(st.text(max_size=60), st.text(max_size=60)), max_size=5))
def test_answers_are_probabilities_whatever_is_written(linear: HashedLinear, products: list[tuple[str, str]]) -> None:
    answers = linear.probabilities([title for title, _ in products], [body for _, body in products])

    assert ((len(products), len(CODES)), np.float32) == (answers.shape, answers.dtype)
    assert np.isfinite(answers).all()
    assert np.allclose(answers.sum(axis=1), 1, atol=1e-5)


@settings(max_examples=30, deadline=None)
@given(st.lists(st.text(max_size=60), min_size=2, max_size=5))
def test_a_product_is_answered_alike_in_any_company(linear: HashedLinear, titles: list[str]) -> None:
    together = linear.probabilities(titles, [""] * len(titles))

    alone = np.concatenate([linear.probabilities([title], [""]) for title in titles])
    assert np.array_equal(alone, together)


@settings(max_examples=30, deadline=None)
@given(st.text(max_size=80), st.text(max_size=80))
def test_serving_adds_up_what_training_would_multiply(linear: HashedLinear, title: str, body: str) -> None:
    """The gathered sum is the sparse product of TF-IDF, view by view, that scikit-learn fits on."""
    text = normalize(title, body)
    row = linear.features.matrix([text]).toarray()[0].astype(np.float64)
    expected = linear.bias.astype(np.float64)
    for start, end in zip(linear.features.views[:-1], linear.features.views[1:], strict=True):
        weighed = row[start:end] * linear.idf[start:end]
        if length := np.linalg.norm(weighed):
            expected = expected + row[start:end] @ linear.table[start:end].astype(np.float64) / length

    assert np.allclose(expected, linear.margins([text])[0], atol=1e-4)


def test_a_product_without_words_gets_the_prior(model: TextModel) -> None:
    answers = model.probabilities(["", "<br/>", "!!!"], ["", "&nbsp;", ""])

    assert np.allclose(model.prior, answers)
    assert model.prior.min() > 0


def test_a_product_of_unknown_words_gets_an_answer(model: TextModel) -> None:
    answer = model.probabilities(["кот"], [""])

    assert np.isfinite(answer).all()


def test_categories_are_recognised_by_their_names(model: TextModel) -> None:
    names = [category.label_fr for category in CATEGORIES]

    right = model.probabilities(names, [""] * len(names)).argmax(axis=1) == np.arange(len(names))
    assert right.mean() > 0.9


def test_a_saved_model_answers_alike(linear: HashedLinear, tmp_path: Path) -> None:
    linear.save(tmp_path)

    products = ["table basse", "piscine"], ["", "grande"]
    assert np.array_equal(linear.probabilities(*products), TextModel.load(tmp_path).probabilities(*products))


def test_equal_models_are_equal_files(linear: HashedLinear, tmp_path: Path) -> None:
    for name in ("a", "b"):
        (tmp_path / name).mkdir()
        linear.save(tmp_path / name)

    assert (tmp_path / "a/weights.npz").read_bytes() == (tmp_path / "b/weights.npz").read_bytes()


def test_as_many_descriptions_as_designations_are_needed(linear: HashedLinear) -> None:
    with pytest.raises(ValueError, match="2 designations but 1 descriptions"):
        linear.probabilities(["a", "b"], ["c"])


def test_softmax_takes_the_largest_numbers() -> None:
    assert [1.0, 0.0] == softmax(np.array([1e30, -1e30], np.float32)).tolist()
