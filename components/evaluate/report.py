"""Render an evaluation as one self-contained page: scores, confusion matrix, mistakes and examples."""

from dataclasses import asdict, dataclass
from pathlib import Path

import jinja2
import numpy as np
from numpy.typing import NDArray

from components.shared.predictions import Predictions
from product_classifier.evaluation.scores import MATRIX_CATEGORIES, CategoryScores, Confusion, Scores, Selection
from product_classifier.taxonomy import Category, Taxonomy
from product_classifier.top_probabilities import TopProbabilities

_PAGE = Path(__file__).with_name("report.html")
_TEXT_LENGTH = 140
_EXAMPLES = 2
_MISTAKES = 20


@dataclass(frozen=True)
class Evaluation:
    """Predictions of the three models for the hold-out, and their scores."""

    predictions: Predictions
    fused: TopProbabilities
    """Probabilities of the fusion."""
    scores: dict[str, Scores]
    """By model; those ending in `_where_both` are over the products with text and photo."""
    by_category: list[CategoryScores]
    confusion: NDArray[np.int64] | None
    """Products by true category (rows) and predicted category (columns); None for many categories."""
    largest_confusions: list[Confusion]
    selection: Selection
    """Predictions of the fusion that are accepted without review."""
    selections: list[Selection]
    """The same by predicted category."""
    target_precision: float | None
    """What the thresholds of the fusion were chosen for; None for a release without thresholds."""
    answered_above: Selection | None
    """Predictions that need review, and how many are answered at a category above; None without a tree."""
    by_level: list[Scores]
    """Scores of the fusion at the levels above the deepest one, the roots first."""


@dataclass(frozen=True)
class Example:
    """One product as a row of the page."""

    text: str
    modalities: str
    truth: str
    predicted: str
    confidence: float


def render(evaluation: Evaluation, taxonomy: Taxonomy) -> str:
    """Return the page; texts of products are escaped and shortened."""
    categories = [taxonomy[code] for code in evaluation.predictions.codes]
    environment = jinja2.Environment(autoescape=True, trim_blocks=True, lstrip_blocks=True)
    matrix = np.zeros((0, 0), np.int64) if evaluation.confusion is None else evaluation.confusion
    shares = matrix / np.maximum(matrix.sum(axis=1, keepdims=True), 1)
    return environment.from_string(_PAGE.read_text("utf-8")).render(
        scores={kind: asdict(scores) for kind, scores in evaluation.scores.items()},
        categories=categories,
        by_category=evaluation.by_category,
        by_level=[asdict(scores) for scores in evaluation.by_level],
        unlearned=evaluation.predictions.unlearned,
        selection=evaluation.selection,
        selections=evaluation.selections,
        target_precision=evaluation.target_precision,
        answered_above=evaluation.answered_above,
        confusion=matrix.tolist(),
        largest_confusions=evaluation.largest_confusions,
        shares=shares.round(3).tolist(),
        mistakes=_mistakes(evaluation, categories),
        examples=_examples(evaluation, categories),
    )


def _mistakes(evaluation: Evaluation, categories: list[Category]) -> list[Example]:
    """Return the wrong predictions with the highest confidence."""
    fused, labels = evaluation.fused, evaluation.predictions.labels
    wrong = np.flatnonzero(fused.predicted != labels)
    ranked = wrong[np.argsort(-fused.confidence[wrong])][:_MISTAKES]
    return [_example(evaluation, row, categories) for row in ranked]


def _examples(evaluation: Evaluation, categories: list[Category]) -> list[tuple[Category, list[Example]]]:
    """Return for each category the products with the highest and the lowest probability of it.

    Of many categories, those with the most products.
    """
    labels, found = evaluation.predictions.labels, []
    own = evaluation.fused.of_columns(labels)
    counts = np.bincount(labels, minlength=len(categories))
    for index in sorted(np.argsort(-counts, kind="stable")[:MATRIX_CATEGORIES].tolist()):
        category = categories[index]
        members = np.flatnonzero(labels == index)
        ranked = members[np.argsort(-own[members])]
        chosen = list(dict.fromkeys([*ranked[: _EXAMPLES - 1], *ranked[-1:]]))
        found.append((category, [_example(evaluation, row, categories) for row in chosen]))
    return found


def _example(evaluation: Evaluation, row: int, categories: list[Category]) -> Example:
    predictions = evaluation.predictions
    product = predictions.products.iloc[row]
    text = " ".join(f"{product['designation']} {product['description']}".split())
    modalities = [name for name in ("text", "image") if getattr(predictions, f"has_{name}")[row]]
    shown = evaluation.fused[row : row + 1]
    return Example(
        text if len(text) <= _TEXT_LENGTH else text[: _TEXT_LENGTH - 1] + "…",
        " + ".join(modalities),
        categories[predictions.labels[row]].label(),
        categories[int(shown.predicted[0])].label(),
        float(shown.confidence[0]),
    )
