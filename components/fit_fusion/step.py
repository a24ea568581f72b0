"""Fit the fusion of the text and the image model."""

from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from components.shared.out_of_fold import OutOfFold, read_labelled, read_out_of_fold
from product_classifier.bundles import bundle
from product_classifier.errors import CatalogueError
from product_classifier.evaluation.scores import weighted_f1
from product_classifier.fusion.fit import fit_fusion
from product_classifier.fusion.model import Flags
from product_classifier.probabilities import Floats
from product_classifier.releases import self_check


def run(train: Path, validation: Path, text_out_of_fold: Path, image_out_of_fold: Path, model: Path) -> float:
    """Write the sealed bundle `model`; return its weighted F1 on the products it was fitted on.

    Args:
        train: Products that the models are trained on (parquet).
        validation: More products with a category (parquet).
        text_out_of_fold: Predictions of text models that were not trained on the product (parquet).
        image_out_of_fold: Predictions of image models that were not trained on the product (parquet).
        model: Folder of the bundle to write.

    Raises:
        CatalogueError: If the two files of predictions have different categories.
    """
    found = {"text": read_out_of_fold(text_out_of_fold), "image": read_out_of_fold(image_out_of_fold)}
    codes = found["text"].codes
    if found["image"].codes != codes:
        raise CatalogueError(
            f"image_out_of_fold: has {len(found['image'].codes)} categories, text_out_of_fold {len(codes)} others; "
            "train both on one catalogue"
        )
    products, _ = read_labelled(train, validation)
    products = products[products["code"].isin(codes)]
    in_file = [one.rows_of(products["product_id"].to_numpy()) for one in found.values()]
    predicted = np.maximum(*in_file) >= 0
    text, has_text = _select(found["text"], in_file[0][predicted])
    image, has_image = _select(found["image"], in_file[1][predicted])
    positions = {code: position for position, code in enumerate(codes)}
    labels = np.array([positions[code] for code in products["code"][predicted]], np.int64)
    fusion = fit_fusion(text, image, has_text, has_image, labels, codes)
    model.mkdir(parents=True, exist_ok=True)
    fusion.save(model)
    bundle.write_manifest(model, "fusion", None, self_check.record_fusion(fusion), fusion.codes)
    return weighted_f1(fusion.combine(text, image, has_text, has_image), labels)


def _select(found: OutOfFold, rows: NDArray[np.intp]) -> tuple[Floats, Flags]:
    """Return the probabilities `[n, classes]` of rows, uniform for row -1, and which rows have some."""
    probabilities = np.full((len(rows), len(found.codes)), 1 / len(found.codes), np.float32)
    probabilities[rows >= 0] = found.probabilities[rows[rows >= 0]]
    return probabilities, rows >= 0
