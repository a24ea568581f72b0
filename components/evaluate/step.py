"""Judge the three models on products none of them has seen."""

import json
from dataclasses import asdict
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from components.evaluate.report import Judgement, render
from components.shared.predictions import Opinions, ask
from product_classifier.errors import CatalogueError
from product_classifier.evaluation.metrics import Scores, confusion, per_category, score
from product_classifier.releases.release import load_fusion
from product_classifier.taxonomy import CODES


def run(test: Path, text: Path, image: Path, fusion: Path, metrics: Path, report: Path) -> float:
    """Write `metrics` (JSON) and `report` (HTML); return the weighted F1 of the fusion over all products.

    Text and image are judged on the products that have the modality, and all three also on those that have both.

    Args:
        test: The frozen hold-out (parquet).
        text: Bundle of the text model.
        image: Bundle of the image model.
        fusion: Bundle of the fusion model.
        metrics: Where scores, scores by category and the confusion matrix go.
        report: Where the page for people goes.
    """
    said = ask(test, text, image)
    if not len(said.labels):
        raise CatalogueError(f"{test.name}: has no product to judge by")
    model, _ = load_fusion(fusion)
    answers = model.combine(said.text, said.image, said.has_text, said.has_image)
    judgement = Judgement(
        said, answers, _scores(said, answers), per_category(answers, said.labels), confusion(answers, said.labels)
    )
    for path, content in ((metrics, _to_json(judgement)), (report, render(judgement))):
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(content, encoding="utf-8")
    return judgement.scores["fusion"].weighted_f1


def _scores(said: Opinions, answers: NDArray[np.float32]) -> dict[str, Scores]:
    both = said.has_text & said.has_image
    rows = {
        "text": (said.text, said.has_text),
        "image": (said.image, said.has_image),
        "fusion": (answers, said.has_text | said.has_image),
        "text_where_both": (said.text, both),
        "image_where_both": (said.image, both),
        "fusion_where_both": (answers, both),
    }
    return {kind: score(probabilities[mine], said.labels[mine]) for kind, (probabilities, mine) in rows.items()}


def _to_json(judgement: Judgement) -> str:
    categories = {
        str(CODES[one.index]): {name: value for name, value in asdict(one).items() if name != "index"}
        for one in judgement.by_category
    }
    values: dict[str, object] = {kind: asdict(found) for kind, found in judgement.scores.items()}
    values |= {"codes": list(CODES), "by_category": categories, "confusion": judgement.confusion.tolist()}
    return json.dumps(values, indent=1, allow_nan=False) + "\n"
