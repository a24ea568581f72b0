"""Fit the fusion of the text and the image model."""

import json
from collections.abc import Mapping
from dataclasses import replace
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from components.shared.out_of_fold import folds_of, read_predicted
from product_classifier.bundles import bundle
from product_classifier.errors import CatalogueError
from product_classifier.evaluation.levels import levels
from product_classifier.evaluation.scores import weighted_f1
from product_classifier.fusion.ancestors import Ancestors
from product_classifier.fusion.fit import fit_fusion
from product_classifier.fusion.thresholds import fit_ancestor_thresholds, fit_thresholds
from product_classifier.releases import self_check
from product_classifier.taxonomy import Taxonomy
from product_classifier.top_probabilities import TopProbabilities


def run(
    train: Path,
    validation: Path,
    text_out_of_fold: Path,
    image_out_of_fold: Path,
    model: Path,
    taxonomy: Taxonomy,
    target_precision: float = 0.95,
    seed: int = 27,
    curves: Path | None = None,
) -> float:
    """Write the sealed bundle `model`; return the cross-validated weighted F1 of the fusion.

    Args:
        train: Products that the models are trained on (parquet).
        validation: More products with a category (parquet).
        text_out_of_fold: Predictions of text models that were not trained on the product (parquet).
        image_out_of_fold: Predictions of image models that were not trained on the product (parquet).
        model: Folder of the bundle to write.
        taxonomy: The categories.
        target_precision: Share of the predictions accepted without review that must be right.
        seed: Seed of the folds.
        curves: Weighted F1 of text, image and fusion on each fold (JSON), for plots.

    Raises:
        CatalogueError: If `target_precision` is not between 0 and 1, or the two files have different categories.
    """
    if not 0 < target_precision < 1:
        raise CatalogueError(f"target_precision: {target_precision!r} is not between 0 and 1; choose one such as 0.95")
    found = read_predicted(train, validation, text_out_of_fold, image_out_of_fold)
    codes, labels, folds = found.codes, found.labels, folds_of(found.labelled, seed)[found.rows]
    fitted = fit_fusion(found.text, found.image, found.has_text, found.has_image, labels, folds, codes)
    tree = levels(taxonomy, codes)
    thresholds = fit_thresholds(fitted.out_of_fold, labels, target_precision, tree)
    fusion = replace(fitted.model, thresholds=thresholds, target_precision=target_precision)
    if tree:
        accepted = fusion.accepts_predicted(fitted.out_of_fold.predicted, fitted.out_of_fold.confidence)
        above = fit_ancestor_thresholds(fitted.out_of_fold, labels, accepted, target_precision, tree)
        fusion = replace(fusion, ancestors=Ancestors.of(taxonomy, codes, above))
    model.mkdir(parents=True, exist_ok=True)
    fusion.save(model)
    bundle.write_manifest(model, "fusion", None, self_check.record_fusion(fusion), fusion.codes)
    if curves is not None:
        both = {"text": (found.text, found.has_text), "image": (found.image, found.has_image)}
        rows = {**both, "fusion": (fitted.out_of_fold, np.ones(len(labels), np.bool_))}
        _write_curves(curves, rows, labels, folds)
    return weighted_f1(fitted.out_of_fold, labels)


def _write_curves(
    path: Path,
    predicted: Mapping[str, tuple[TopProbabilities, NDArray[np.bool_]]],
    labels: NDArray[np.int64],
    folds: NDArray[np.int64],
) -> None:
    """Write one row per fold, with the weighted F1 by kind of model on the products that have the modality."""
    found = []
    for fold in np.unique(folds).tolist():
        masks = {kind: (folds == fold) & has for kind, (_, has) in predicted.items()}
        scores = {
            kind: weighted_f1(predicted[kind][0][mask], labels[mask]) for kind, mask in masks.items() if mask.any()
        }
        found.append({"step": fold, **scores})
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text(json.dumps(found, indent=1) + "\n", encoding="utf-8")
