"""Fit the fusion of the text and the image model."""

from dataclasses import replace
from pathlib import Path

import numpy as np

from components.shared.out_of_fold import folds_of, read_labelled, read_out_of_fold
from product_classifier.bundles import bundle
from product_classifier.errors import CatalogueError
from product_classifier.evaluation.scores import weighted_f1
from product_classifier.fusion.fit import fit_fusion
from product_classifier.fusion.thresholds import fit_thresholds
from product_classifier.releases import self_check


def run(
    train: Path,
    validation: Path,
    text_out_of_fold: Path,
    image_out_of_fold: Path,
    model: Path,
    target_precision: float = 0.95,
    seed: int = 27,
) -> float:
    """Write the sealed bundle `model`; return the cross-validated weighted F1 of the fusion.

    Args:
        train: Products that the models are trained on (parquet).
        validation: More products with a category (parquet).
        text_out_of_fold: Predictions of text models that were not trained on the product (parquet).
        image_out_of_fold: Predictions of image models that were not trained on the product (parquet).
        model: Folder of the bundle to write.
        target_precision: Share of the predictions accepted without review that must be right.
        seed: Seed of the folds.

    Raises:
        CatalogueError: If `target_precision` is not between 0 and 1, or the two files have different categories.
    """
    if not 0 < target_precision < 1:
        raise CatalogueError(f"target_precision: {target_precision!r} is not between 0 and 1; choose one such as 0.95")
    found = {"text": read_out_of_fold(text_out_of_fold), "image": read_out_of_fold(image_out_of_fold)}
    codes = found["text"].codes
    if found["image"].codes != codes:
        raise CatalogueError(
            f"image_out_of_fold: has {len(found['image'].codes)} categories, text_out_of_fold {len(codes)} others; "
            "train both on one catalogue"
        )
    products, _ = read_labelled(train, validation)
    folds = folds_of(products, seed)[products["code"].isin(codes)]
    products = products[products["code"].isin(codes)]
    in_file = [one.rows_of(products["product_id"].to_numpy()) for one in found.values()]
    predicted = np.maximum(*in_file) >= 0
    products, folds = products[predicted], folds[predicted]
    text, has_text = found["text"].select(products["product_id"].to_numpy())
    image, has_image = found["image"].select(products["product_id"].to_numpy())
    positions = {code: position for position, code in enumerate(codes)}
    labels = np.array([positions[code] for code in products["code"]], np.int64)
    fitted = fit_fusion(text, image, has_text, has_image, labels, folds, codes)
    thresholds = fit_thresholds(fitted.out_of_fold, labels, target_precision)
    fusion = replace(fitted.model, thresholds=thresholds, target_precision=target_precision)
    model.mkdir(parents=True, exist_ok=True)
    fusion.save(model)
    bundle.write_manifest(model, "fusion", None, self_check.record_fusion(fusion), fusion.codes)
    return weighted_f1(fitted.out_of_fold, labels)
