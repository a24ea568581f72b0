import json
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from product_classifier.catalogue.challenge import CHALLENGE
from product_classifier.errors import BundleRefused
from product_classifier.evaluation.scores import score, weighted_f1
from product_classifier.fusion.fit import FusionFit, fit_fusion
from product_classifier.fusion.model import FusionModel
from product_classifier.probabilities import softmax
from product_classifier.top_probabilities import TopProbabilities
from tests.support.tiny_release import unfitted_fusion

CODES = CHALLENGE.codes
CLASSES = len(CODES)
SEEDS = st.integers(0, 2**32 - 1)


def draw_probabilities(rng: np.random.Generator, labels: np.ndarray, knowledge: float) -> np.ndarray:
    """Return probabilities `[n, classes]` of a classifier whose accuracy grows with `knowledge`."""
    logits = rng.normal(0, 1, (len(labels), CLASSES))
    logits[np.arange(len(labels)), labels] += knowledge
    raised = np.exp(logits)
    return (raised / raised.sum(axis=1, keepdims=True)).astype(np.float32)


def fit(text: np.ndarray, image: np.ndarray, labels: np.ndarray) -> FusionFit:
    """Fit products that have both modalities."""
    yes = np.ones(len(labels), bool)
    return fit_fusion(
        TopProbabilities.of(text), TopProbabilities.of(image), yes, yes, labels, np.arange(len(labels)) % 5, CODES
    )


def random_model(seed: int) -> FusionModel:
    rng = np.random.default_rng(seed)
    weights = rng.uniform(0.1, 2, (7, CLASSES)).astype(np.float32)
    return FusionModel(*weights, CODES, rng.uniform(0, 0.2, 3).astype(np.float32))


def random_batch(seed: int, count: int = 8) -> tuple[np.ndarray, np.ndarray, np.ndarray, np.ndarray]:
    rng = np.random.default_rng(seed)
    text, image = rng.dirichlet(np.full(CLASSES, 0.1), (2, count)).astype(np.float32)
    seen = rng.integers(1, 4, count)
    return text, image, seen & 1 > 0, seen & 2 > 0


@given(SEEDS)
def test_any_combination_of_modalities_gets_probabilities(seed: int) -> None:
    found = random_model(seed).combine(*random_batch(seed))

    assert np.isfinite(found).all()
    assert np.allclose(found.sum(axis=1), 1, atol=1e-5)


@given(SEEDS)
def test_a_prediction_does_not_depend_on_the_batch(seed: int) -> None:
    model, batch = random_model(seed), random_batch(seed)
    order = np.random.default_rng(seed).permutation(8)

    assert np.allclose(model.combine(*batch)[order], model.combine(*(part[order] for part in batch)), atol=1e-6)
    assert np.allclose(model.combine(*batch)[:1], model.combine(*(part[:1] for part in batch)), atol=1e-6)


@given(SEEDS)
def test_probabilities_of_an_absent_modality_are_ignored(seed: int) -> None:
    model, (text, image, has_text, has_image) = random_model(seed), random_batch(seed)
    expected = model.combine(text, image, has_text, has_image)
    text[~has_text], image[~has_image] = np.nan, 7

    assert np.array_equal(expected, model.combine(text, image, has_text, has_image))


def test_a_product_without_text_and_image_is_an_error() -> None:
    text, image, _, _ = random_batch(1, 2)

    with pytest.raises(ValueError, match=r"\[1\]"):
        unfitted_fusion(CODES).combine(text, image, np.array([True, False]), np.array([True, False]))


def test_the_unfitted_model_returns_a_single_modality_unchanged() -> None:
    text, image, _, _ = random_batch(2)
    yes, no = np.ones(8, bool), np.zeros(8, bool)
    model = unfitted_fusion(CODES)

    assert np.allclose(text, model.combine(text, image, yes, no), atol=1e-4)
    assert np.allclose(image, model.combine(text, image, no, yes), atol=1e-4)


def test_one_modality_alone_cannot_rule_a_category_out() -> None:
    text, image = np.zeros((2, 1, CLASSES), np.float32)
    text[0, 3], image[0, 5] = 1, 1
    fused = unfitted_fusion(CODES).combine(text, image, np.array([True]), np.array([True]))

    assert {3, 5} == set(np.argsort(-fused[0])[:2].tolist())


@settings(max_examples=8, deadline=None)
@given(SEEDS, st.floats(0, 4), st.floats(0, 4), st.integers(0, 200))
def test_out_of_fold_fusion_is_not_shown_to_be_worse_than_either_model(
    seed: int, text_knowledge: float, image_knowledge: float, count: int
) -> None:
    rng = np.random.default_rng(seed)
    labels = rng.integers(0, CLASSES, count)
    text, image = draw_probabilities(rng, labels, text_knowledge), draw_probabilities(rng, labels, image_knowledge)

    fitted = fit(text, image, labels)

    out_of_fold = fitted.out_of_fold.dense()
    assert (count, CLASSES) == out_of_fold.shape
    assert np.allclose(1, out_of_fold.sum(axis=1), atol=1e-5)
    if count >= 20:
        rows = np.arange(count)
        for one in (text, image):
            harm = np.log(one[rows, labels]) - np.log(out_of_fold[rows, labels])
            assert harm.mean() < 4 * harm.std() / np.sqrt(count) + 0.1


def test_fusion_beats_text_on_products_not_fitted_on() -> None:
    rng = np.random.default_rng(3)
    labels = rng.integers(0, CLASSES, 1200)
    text, image = draw_probabilities(rng, labels, 3.0), draw_probabilities(rng, labels, 2.0)
    yes = np.ones(600, bool)

    model = fit(text[:600], image[:600], labels[:600]).model
    both = weighted_f1(model.combine(text[600:], image[600:], yes, yes), labels[600:])
    assert both > weighted_f1(text[600:], labels[600:]) + 0.05


def test_an_uninformative_image_model_gets_small_weights() -> None:
    rng = np.random.default_rng(4)
    labels = rng.integers(0, CLASSES, 800)
    text, image = draw_probabilities(rng, labels, 4.0), draw_probabilities(rng, labels, 0.0)
    yes = np.ones(400, bool)

    model = fit(text[:400], image[:400], labels[:400]).model
    assert np.abs(model.image_weight).mean() < 0.3
    assert weighted_f1(model.combine(text[400:], image[400:], yes, yes), labels[400:]) > (
        weighted_f1(text[400:], labels[400:]) - 0.02
    )


@pytest.mark.parametrize("products", [30, 60, 120, 350])
def test_an_image_model_that_helps_is_used_for_every_category(products: int) -> None:
    """A few products per category are little evidence; the weight shared by all categories is used then."""
    rng = np.random.default_rng(products)
    labels = rng.integers(0, CLASSES, products)
    text, image = draw_probabilities(rng, labels, 3.0), draw_probabilities(rng, labels, 2.0)

    model = fit(text, image, labels).model

    assert model.image_weight.min() > 0.2
    assert model.text_weight.min() > 0.2


def test_an_image_model_that_is_shown_to_hurt_is_ignored() -> None:
    """Its predictions are informative in one fold and misleading in the other."""
    rng = np.random.default_rng(9)
    labels, folds = rng.integers(0, CLASSES, 1000), np.arange(1000) % 2
    text = draw_probabilities(rng, labels, 3.0)
    claimed = np.where(rng.random(1000) < 0.5, labels, (labels + 1) % CLASSES)
    image = np.full((1000, CLASSES), 1e-6, np.float32)
    image[np.arange(1000), np.where(folds == 0, claimed, (claimed + 9) % CLASSES)] = 1

    yes = np.ones(1000, bool)
    model = fit_fusion(TopProbabilities.of(text), TopProbabilities.of(image), yes, yes, labels, folds, CODES).model

    assert not model.image_weight.any()
    assert model.text_weight.min() > 0.2


def test_fitting_without_products_gives_weights_of_one() -> None:
    nothing = np.zeros((0, CLASSES), np.float32)
    none = np.zeros(0, bool)

    no_products = np.zeros(0, np.int64)
    model = fit_fusion(
        TopProbabilities.of(nothing), TopProbabilities.of(nothing), none, none, no_products, no_products, CODES
    ).model
    assert np.array_equal(np.ones(CLASSES), model.text_weight)


def test_the_uniform_mixture_estimates_the_label_noise() -> None:
    rng = np.random.default_rng(6)
    labels = rng.integers(0, CLASSES, 3000)
    text, image = draw_probabilities(rng, labels, 6.0), draw_probabilities(rng, labels, 3.0)
    wrong = rng.random(3000) < 0.1
    labels[wrong] = rng.integers(0, CLASSES, wrong.sum())
    fitted, evaluated, yes = slice(0, 600), slice(600, None), np.ones(2400, bool)

    model = fit(text[fitted], image[fitted], labels[fitted]).model
    found = score(model.combine(text[evaluated], image[evaluated], yes, yes), labels[evaluated])
    assert found.ece < 0.02
    assert model.uniform_mixture[0] == pytest.approx(0.1, abs=0.04)


def test_a_model_file_of_the_first_releases_has_no_uniform_mixture(tmp_path: Path) -> None:
    model = random_model(5)
    model.save(tmp_path)
    saved = json.loads((tmp_path / "model.json").read_text())
    del saved["doubts"]
    (tmp_path / "model.json").write_text(json.dumps(saved))

    assert [0, 0, 0] == FusionModel.load(tmp_path).uniform_mixture.tolist()


def test_a_release_without_thresholds_accepts_above_the_default(tmp_path: Path) -> None:
    random_model(5).save(tmp_path)
    fused = np.full((3, CLASSES), 0.01, np.float32)
    fused[:, 4] = 0.94, 0.95, 0.96

    model = FusionModel.load(tmp_path)

    assert model.thresholds is None
    assert [False, False, True] == model.accepts(fused).tolist()


def test_each_category_has_its_threshold(tmp_path: Path) -> None:
    thresholds = np.full(CLASSES, 0.9, np.float32)
    thresholds[[3, 4]] = 0.5, 1
    replace(random_model(5), thresholds=thresholds, target_precision=0.9).save(tmp_path)
    fused = np.zeros((4, CLASSES), np.float32)
    fused[[0, 1, 2, 3], [3, 3, 4, 5]] = 0.5, 0.51, 1, 0.91

    model = FusionModel.load(tmp_path)

    assert 0.9 == model.target_precision
    assert [False, True, False, True] == model.accepts(fused).tolist()


def test_a_saved_model_returns_the_same_probabilities(tmp_path: Path) -> None:
    model, batch = random_model(5), random_batch(5)
    model.save(tmp_path)

    assert np.allclose(model.combine(*batch), FusionModel.load(tmp_path).combine(*batch), atol=1e-6)


@pytest.mark.parametrize(
    ("change", "reason"),
    [
        (('"log-linear"', '"magic"'), "type is 'magic'"),
        (('"codes": [\n  10,', '"codes": [\n  40,'), "codes are not two or more distinct"),
        (('"bias": [', '"bias": [1.0, '), "bias is not 27"),
        (('"bias": [', '"bias": ["x", '), "bias is missing or not"),
        (('"bias": [', '"biased": ['), "bias is missing"),
        (('"bias": [', '"bias": [NaN, '), "NaN is not a finite"),
        (('"bias": [', '"bias": [1e999, '), "bias is not 27 finite"),
        (('"doubts": [', '"doubts": [0.5, '), "doubts is not 3"),
        (('"thresholds": [', '"thresholds": [0.5, '), "thresholds is not 27"),
        (('"thresholds": [\n  0.5', '"thresholds": [\n  1.5'), r"thresholds are not in \[0, 1\]: \[1\.5"),
        (('"target_precision": 0.95', '"target_precision": 1'), "target_precision is 1, not between 0 and 1"),
        (('"target_precision": 0.95', '"target": 0.95'), "target_precision is None, not between 0 and 1"),
        (('"doubts": [', '"doubts": [1, 0, 0], "more": ['), r"doubts are not shares in \[0, 1\): \[1\.0"),
    ],
)
def test_a_wrong_model_file_is_refused(tmp_path: Path, change: tuple[str, str], reason: str) -> None:
    replace(random_model(6), thresholds=np.full(CLASSES, 0.5, np.float32), target_precision=0.95).save(tmp_path)
    path = tmp_path / "model.json"
    path.write_text(path.read_text().replace(*change))

    with pytest.raises(BundleRefused, match=reason):
        FusionModel.load(tmp_path)


@pytest.mark.parametrize("classes", [2, 3, 600])
def test_the_fusion_of_any_number_of_categories_beats_both_models(classes: int) -> None:
    rng = np.random.default_rng(5)
    labels = rng.integers(0, classes, 1500)
    text, image = (_noisy_probabilities(rng, labels, classes) for _ in range(2))
    yes = np.ones(len(labels), np.bool_)
    tops = TopProbabilities.of(text), TopProbabilities.of(image)
    codes = tuple(map(str, range(classes)))

    fitted = fit_fusion(*tops, yes, yes, labels, np.arange(len(labels)) % 5, codes)

    assert weighted_f1(fitted.out_of_fold, labels) > max(weighted_f1(one, labels) for one in tops) + 0.02
    fused = fitted.model.combine_top(*tops, yes, yes)
    assert np.array_equal(fused.predicted, fitted.model.combine(text, image, yes, yes).argmax(axis=1))
    sums = fitted.model.combine(text[:50], image[:50], yes[:50], yes[:50]).sum(axis=1)
    assert np.allclose(1, sums, atol=1e-5)


def _noisy_probabilities(rng: np.random.Generator, labels: np.ndarray, classes: int) -> np.ndarray:
    logits = rng.normal(size=(len(labels), classes)) * 1.5
    logits[np.arange(len(labels)), labels] += 1 + np.log(classes)
    return softmax(logits.astype(np.float32))
