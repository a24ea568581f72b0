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
from product_classifier.evaluation.levels import levels
from product_classifier.evaluation.scores import (
    CONFUSIONS,
    MATRIX_CATEGORIES,
    Scores,
    Selection,
    calibration_bins,
    confusion,
    coverage,
    largest_confusions,
    per_category,
    score,
    select,
    select_per_category,
)
from product_classifier.fusion.model import FusionModel
from product_classifier.releases.release import load_fusion
from product_classifier.taxonomy import Taxonomy
from product_classifier.taxonomy.stored_codes import all_to_stored, to_stored
from product_classifier.top_probabilities import TopProbabilities, batches

PRECISIONS = (0.7, 0.75, 0.8, 0.85, 0.9, 0.925, 0.95, 0.97, 0.98, 0.99)
"""Precisions for which the largest coverage is reported."""


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
        metrics: Scores, also by category and level of the taxonomy, products left out, and the confusion matrix or, of
            many categories, its largest pairs.
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
    fused = found.combine(model)
    accepted = model.accepts_predicted(fused.predicted, fused.confidence)
    few = len(found.codes) <= MATRIX_CATEGORIES
    evaluation = Evaluation(
        found,
        fused,
        _scores(found, fused),
        per_category(fused, found.labels),
        confusion(fused, found.labels) if few else None,
        largest_confusions(fused, found.labels, CONFUSIONS),
        select(accepted, fused.predicted == found.labels),
        select_per_category(fused, found.labels, accepted),
        model.target_precision,
        _answered_above(model, fused, found.labels, taxonomy) if model.ancestors else None,
        [score(level.sum_upward(fused), level.positions[found.labels]) for level in levels(taxonomy, found.codes)],
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


def _scores(found: Predictions, fused: TopProbabilities) -> dict[str, Scores]:
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


def _answered_above(
    model: FusionModel, fused: TopProbabilities, labels: NDArray[np.int64], taxonomy: Taxonomy
) -> Selection:
    """Count the predictions that need review, those answered at a category above, and those of them that are right."""
    reviewed = np.flatnonzero(~model.accepts_predicted(fused.predicted, fused.confidence))
    answered, correct = [], []
    for rows in batches(len(reviewed)):
        answers = model.answers_above(fused[reviewed[rows]].dense())
        paths = [taxonomy.ancestors(model.codes[label]) for label in labels[reviewed[rows]]]
        answered += [answer is not None for answer in answers]
        correct += [answer is not None and answer.code in path for answer, path in zip(answers, paths, strict=True)]
    return select(np.array(answered, np.bool_), np.array(correct, np.bool_))


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
    values |= {"codes": all_to_stored(codes), "by_category": categories}
    values["by_level"] = [asdict(scores) for scores in evaluation.by_level]
    fused, labels = evaluation.fused, evaluation.predictions.labels
    confidence, correct = fused.confidence, fused.predicted == labels
    values["calibration"] = [asdict(one) for one in calibration_bins(confidence, correct)]
    values["coverage"] = [
        {"precision": precision, "coverage": coverage(confidence, correct, precision)} for precision in PRECISIONS
    ]
    if (above := evaluation.answered_above) is not None:
        values["answered_above"] = asdict(above)
    values["unlearned"] = evaluation.predictions.unlearned
    if evaluation.confusion is not None:
        values["confusion"] = evaluation.confusion.tolist()
    else:
        values["largest_confusions"] = [
            {"code": to_stored(codes[one.actual]), "predicted": to_stored(codes[one.predicted]), "items": one.items}
            for one in evaluation.largest_confusions
        ]
    return json.dumps(values, indent=1, allow_nan=False) + "\n"
