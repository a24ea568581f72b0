"""The report for people: one self-contained page with scores, confusion matrix and telling mistakes."""

from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

import jinja2
import numpy as np
from numpy.typing import NDArray

from components.shared.predictions import Opinions
from product_classifier.evaluation.metrics import CategoryScores, Scores
from product_classifier.taxonomy import CATEGORIES

_PAGE = Path(__file__).with_name("report.html")
_SHOWN = 140
_EXAMPLES = 2


@dataclass(frozen=True)
class Judgement:
    """What the fusion answered and how each model scored."""

    said: Opinions
    answers: NDArray[np.float32]
    scores: dict[str, Scores]
    by_category: list[CategoryScores]
    confusion: NDArray[np.int64]


@dataclass(frozen=True)
class Example:
    """One product as the report shows it."""

    text: str
    modalities: str
    truth: str
    answer: str
    confidence: float


def render(judgement: Judgement) -> str:
    """Return the page; every text of a product is escaped and shortened."""
    environment = jinja2.Environment(autoescape=True, trim_blocks=True, lstrip_blocks=True)
    rows = judgement.confusion / np.maximum(judgement.confusion.sum(axis=1, keepdims=True), 1)
    return environment.from_string(_PAGE.read_text("utf-8")).render(
        scores={kind: asdict(score) for kind, score in judgement.scores.items()},
        categories=CATEGORIES,
        by_category=judgement.by_category,
        confusion=judgement.confusion.tolist(),
        shares=rows.round(3).tolist(),
        mistakes=_mistakes(judgement),
        examples=_examples(judgement),
    )


def _mistakes(judgement: Judgement, count: int = 20) -> list[Example]:
    """Return the wrong answers that were given with the most confidence."""
    answers, labels = judgement.answers, judgement.said.labels
    wrong = np.flatnonzero(answers.argmax(axis=1) != labels)
    return [_example(judgement, row) for row in wrong[np.argsort(-answers[wrong].max(axis=1))][:count]]


def _examples(judgement: Judgement) -> list[tuple[Any, list[Example]]]:
    """Return for each category its most typical product and its worst miss."""
    found = []
    for index, category in enumerate(CATEGORIES):
        mine = np.flatnonzero(judgement.said.labels == index)
        ranked = mine[np.argsort(-judgement.answers[mine, index])]
        chosen = list(dict.fromkeys([*ranked[: _EXAMPLES - 1], *ranked[-1:]]))
        found.append((category, [_example(judgement, row) for row in chosen]))
    return found


def _example(judgement: Judgement, row: int) -> Example:
    product = judgement.said.products.iloc[row]
    text = " ".join(f"{product['designation']} {product['description']}".split())
    seen = [name for name in ("text", "image") if getattr(judgement.said, f"has_{name}")[row]]
    answer = int(judgement.answers[row].argmax())
    return Example(
        text if len(text) <= _SHOWN else text[: _SHOWN - 1] + "…",
        " + ".join(seen),
        CATEGORIES[judgement.said.labels[row]].label_fr,
        CATEGORIES[answer].label_fr,
        float(judgement.answers[row, answer]),
    )
