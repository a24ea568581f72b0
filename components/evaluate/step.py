"""Evaluate the three models on the frozen hold-out."""

import json
from dataclasses import asdict
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from components.evaluate import experiment_files
from components.evaluate.report import Evaluation, render
from components.shared.predictions import Predictions, predict
from product_classifier.errors import CatalogueError
from product_classifier.evaluation.scores import (
    Scores,
    Selection,
    confusion,
    per_category,
    score,
    select,
    select_per_category,
)
from product_classifier.releases.release import load_fusion
from product_classifier.taxonomy import Taxonomy
from product_classifier.taxonomy.stored_codes import all_to_stored


def run(
    test: Path,
    raw: Path,
    text: Path,
    image: Path,
    fusion: Path,
    metrics: Path,
    report: Path,
    taxonomy: Taxonomy,
    summary: Path | None = None,
    plots: Path | None = None,
) -> float:
    """Write `metrics` (JSON) and `report` (HTML); return the weighted F1 of the fusion over all products.

    Text and image are evaluated on the products that have the modality, and all three also on those that have both.

    Args:
        test: The frozen hold-out (parquet).
        raw: Folder of the raw files, which `image_path` is relative to.
        text: Bundle of the text model.
        image: Bundle of the image model.
        fusion: Bundle of the fusion model.
        metrics: Scores, scores by category and the confusion matrix.
        report: The same as a page, with examples.
        taxonomy: The categories; a product of one that is too small counts where it is learned.
        summary: The most important scores alone (JSON), for tables of experiments.
        plots: Folder for `categories.csv`, the F1 by category, and `predictions.csv`, for plots of experiments.

    Raises:
        CatalogueError: If the hold-out has no product with a category of the models.
    """
    found = predict(test, raw, text, image, taxonomy)
    if not len(found.labels):
        raise CatalogueError(f"{test.name}: has no product to evaluate on; check its categories")
    model, _ = load_fusion(fusion, found.codes)
    fused = model.combine(found.text, found.image, found.has_text, found.has_image)
    accepted = model.accepts(fused)
    evaluation = Evaluation(
        found,
        fused,
        _scores(found, fused),
        per_category(fused, found.labels),
        confusion(fused, found.labels),
        select(accepted, fused.argmax(axis=1) == found.labels),
        select_per_category(fused, found.labels, accepted),
        model.target_precision,
    )
    pages = [(metrics, _to_json(evaluation)), (report, render(evaluation, taxonomy))]
    if summary is not None:
        pages.append((summary, experiment_files.summary(evaluation)))
    if plots is not None:
        pages.append((plots / "categories.csv", experiment_files.categories(evaluation)))
        pages.append((plots / "predictions.csv", experiment_files.predictions(evaluation)))
    for path, content in pages:
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(content, encoding="utf-8")
    return evaluation.scores["fusion"].weighted_f1


def _scores(found: Predictions, fused: NDArray[np.float32]) -> dict[str, Scores]:
    both = found.has_text & found.has_image
    rows = {
        "text": (found.text, found.has_text),
        "image": (found.image, found.has_image),
        "fusion": (fused, found.has_text | found.has_image),
        "text_where_both": (found.text, both),
        "image_where_both": (found.image, both),
        "fusion_where_both": (fused, both),
    }
    return {kind: score(probabilities[mask], found.labels[mask]) for kind, (probabilities, mask) in rows.items()}


def _selection(found: Selection) -> dict[str, float]:
    """Return coverage and, if something was accepted, precision of the accepted predictions."""
    precision = {} if found.precision is None else {"accepted_precision": found.precision}
    return {"accepted_coverage": found.coverage, **precision}


def _to_json(evaluation: Evaluation) -> str:
    codes = evaluation.predictions.codes
    categories = {
        str(codes[one.index]): {name: value for name, value in asdict(one).items() if name != "index"}
        | _selection(selection)
        for one, selection in zip(evaluation.by_category, evaluation.selections, strict=True)
    }
    values: dict[str, object] = {kind: asdict(scores) for kind, scores in evaluation.scores.items()}
    values["fusion"] = asdict(evaluation.scores["fusion"]) | _selection(evaluation.selection)
    values |= {"codes": all_to_stored(codes), "by_category": categories, "confusion": evaluation.confusion.tolist()}
    return json.dumps(values, indent=1, allow_nan=False) + "\n"
