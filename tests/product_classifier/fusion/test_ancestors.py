"""Answers at a category above the predicted one."""

from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from product_classifier.bundles.arrays import read_json, write_json
from product_classifier.decisions import NEVER_ACCEPTED
from product_classifier.errors import BundleRefused
from product_classifier.evaluation.levels import levels
from product_classifier.fusion.ancestors import AncestorAnswer, Ancestors
from product_classifier.fusion.fit import fit_fusion
from product_classifier.fusion.model import FusionModel
from product_classifier.fusion.thresholds import fit_ancestor_thresholds, fit_thresholds
from product_classifier.taxonomy import Category, Taxonomy
from product_classifier.top_probabilities import TopProbabilities

TREE = Taxonomy(
    (
        Category("drinks"),
        Category("tea", parent="drinks"),
        Category("green", parent="tea"),
        Category("black", parent="tea"),
        Category("coffee", parent="drinks"),
        Category("tools"),
        Category("saw", parent="tools"),
    ),
    codes=("green", "black", "coffee", "tea", "saw"),
)
"""`tea` is answerable and above two answerable categories; paths have two and three categories."""
GREEN, BLACK, COFFEE, TEA, SAW = range(5)


def answer(probabilities: list[float], thresholds: dict[str, float]) -> AncestorAnswer | None:
    found = np.array(probabilities, np.float32)
    return Ancestors.of(TREE, TREE.codes, thresholds).answer(found, int(found.argmax()))


@pytest.mark.parametrize(
    ("probabilities", "thresholds", "expected"),
    [
        ([0.4, 0.35, 0.05, 0.1, 0.1], {"tea": 0.8, "drinks": 0.8}, ("tea", 0.85)),  # its own share is counted
        ([0.4, 0.35, 0.05, 0.1, 0.1], {"tea": 0.86, "drinks": 0.8}, ("drinks", 0.9)),
        ([0.4, 0.35, 0.05, 0.1, 0.1], {"drinks": 0.8}, ("drinks", 0.9)),
        ([0.4, 0.35, 0.05, 0.1, 0.1], {"tea": 0.86, "drinks": 0.91}, None),
        ([0.4, 0.35, 0.05, 0.1, 0.1], {"tools": 0.0}, None),  # not above the predicted category
        ([0.1, 0.1, 0.1, 0.6, 0.1], {"tea": 0.0, "drinks": 0.8}, ("drinks", 0.9)),  # `tea` itself is predicted
        ([0.1, 0.1, 0.1, 0.1, 0.6], {"tools": 0.5}, ("tools", 0.6)),
        ([0.4, 0.35, 0.05, 0.1, 0.1], {}, None),
    ],
)
def test_the_deepest_certain_ancestor_answers(
    probabilities: list[float], thresholds: dict[str, float], expected: tuple[str, float] | None
) -> None:
    found = answer(probabilities, thresholds)

    if expected is None:
        assert found is None
    else:
        assert found is not None
        assert expected == (found.code, pytest.approx(found.probability, abs=1e-6))


@given(st.lists(st.floats(0, 1, width=32), min_size=5, max_size=5), st.floats(0, 1), st.floats(0, 1))
def test_an_answer_is_above_the_prediction_and_no_less_probable(
    probabilities: list[float], tea: float, drinks: float
) -> None:
    row = np.array(probabilities, np.float32) + np.float32(1e-3)
    row /= row.sum()
    found = answer(row.tolist(), {"tea": tea, "drinks": drinks, "tools": 0.5})

    if found is not None:
        assert found.code in TREE.ancestors(TREE.codes[int(row.argmax())])
        below = [column for column, code in enumerate(TREE.codes) if found.code in TREE.path_of(code)]
        assert found.probability == pytest.approx(min(1.0, row[below].sum()), abs=1e-5)
        assert found.probability >= row.max() - 1e-6


def confused_within_branches(rng: np.random.Generator, count: int) -> tuple[TopProbabilities, np.ndarray]:
    """Return calibrated probabilities, uncertain within `tea` and nearly certain between branches."""
    probabilities = np.empty((count, 5), np.float32)
    for row, branch in enumerate(rng.integers(0, 2, count)):
        inside = rng.dirichlet(np.ones(2)) * rng.uniform(0.96, 1)
        rest = (1 - inside.sum()) / 3
        probabilities[row] = rest
        probabilities[row, [GREEN, BLACK] if branch else [COFFEE, SAW]] = inside
    labels = np.array([rng.choice(5, p=row / row.sum()) for row in probabilities.astype(np.float64)])
    return TopProbabilities.of(probabilities), labels


def test_fitted_thresholds_hold_the_target_for_what_is_answered_nowhere_below() -> None:
    target, tree = 0.9, levels(TREE, TREE.codes)
    found, labels = confused_within_branches(np.random.default_rng(7), 4000)
    own = fit_thresholds(found, labels, target, tree)
    accepted = found.confidence > own[found.predicted]
    ancestors = Ancestors.of(TREE, TREE.codes, fit_ancestor_thresholds(found, labels, accepted, target, tree))

    fresh, truth = confused_within_branches(np.random.default_rng(8), 4000)
    left = np.flatnonzero(fresh.confidence <= own[fresh.predicted])
    answers = [ancestors.answer(fresh.kept[row], fresh.predicted[row]) for row in left]
    right = [one.code in TREE.path_of(TREE.codes[truth[row]]) for row, one in zip(left, answers, strict=True) if one]

    assert "tea" in ancestors.codes
    assert "tools" not in ancestors.codes, "coffee and saw are confused, which no category above saw explains"
    assert len(right) > 0.3 * len(left)
    assert np.mean(right) >= target - 0.02


def test_a_category_with_few_predictions_has_the_threshold_of_the_category_above() -> None:
    rng = np.random.default_rng(3)
    predicted = np.concatenate([np.full(400, GREEN), np.full(3, BLACK), np.full(400, SAW)])
    confidence = rng.uniform(0.5, 1, len(predicted)).astype(np.float32)
    correct = rng.random(len(predicted)) < np.where(predicted == SAW, 0.2, 0.99)
    probabilities = np.zeros((len(predicted), 5), np.float32)
    probabilities[np.arange(len(predicted)), predicted] = confidence
    labels = np.where(correct, predicted, COFFEE)

    thresholds = fit_thresholds(TopProbabilities.of(probabilities), labels, 0.9, levels(TREE, TREE.codes))

    assert thresholds[BLACK] == thresholds[GREEN] < NEVER_ACCEPTED
    assert NEVER_ACCEPTED == thresholds[SAW]


def fusion_of(ancestors: Ancestors) -> FusionModel:
    nothing, none, rows = TopProbabilities.uniform(0, 5), np.zeros(0, np.bool_), np.zeros(0, np.int64)
    return replace(fit_fusion(nothing, nothing, none, none, rows, rows, TREE.codes).model, ancestors=ancestors)


def test_a_saved_model_answers_as_before(tmp_path: Path) -> None:
    thresholds = np.full(5, 0.9, np.float32)
    ancestors = Ancestors.of(TREE, TREE.codes, {"tea": 0.8, "drinks": 0.5})
    model = replace(fusion_of(ancestors), thresholds=thresholds, target_precision=0.9)
    model.save(tmp_path)
    fused = np.array(
        [[0.4, 0.35, 0.05, 0.1, 0.1], [0.3, 0.3, 0.3, 0.05, 0.05], [0.95, 0.05, 0, 0, 0], [0.1, 0.1, 0.1, 0.1, 0.6]],
        np.float32,
    )

    found = FusionModel.load(tmp_path).answers_above(fused)

    assert found == model.answers_above(fused)
    assert [one and one.code for one in found] == ["tea", "drinks", None, None]


@pytest.mark.parametrize(
    "broken",
    [
        None,
        [],
        {"codes": ["tea"], "thresholds": [0.5]},
        {"codes": ["tea"], "thresholds": [0.5], "above": [[0]]},
        {"codes": ["tea"], "thresholds": [], "above": [[]] * 5},
        {"codes": ["tea"], "thresholds": [1.5], "above": [[]] * 5},
        {"codes": ["tea"], "thresholds": [0.5], "above": [[1], [], [], [], []]},
        {"codes": ["tea"], "thresholds": [0.5], "above": [[-1], [], [], [], []]},
        {"codes": [True], "thresholds": [0.5], "above": [[]] * 5},
    ],
)
def test_malformed_ancestors_are_refused(tmp_path: Path, broken: object) -> None:
    fusion_of(Ancestors.of(TREE, TREE.codes, {"tea": 0.8})).save(tmp_path)
    write_json(tmp_path / "model.json", read_json(tmp_path / "model.json") | {"ancestors": broken})

    with pytest.raises(BundleRefused, match="ancestors"):
        FusionModel.load(tmp_path)
