"""Predictions of the text and the image model for the products of a split."""

from dataclasses import dataclass, field
from pathlib import Path

import numpy as np
import pandas as pd
from numpy.typing import NDArray

from components.shared import progress
from components.shared.raw import photo_path
from product_classifier.catalogue.product_table import read_products
from product_classifier.errors import BundleRefused, InvalidImage
from product_classifier.fusion.model import FusionModel
from product_classifier.images import decoding
from product_classifier.images.model import ImageModel
from product_classifier.observability import get_logger
from product_classifier.releases.release import load_image, load_text
from product_classifier.taxonomy import Codes, Taxonomy
from product_classifier.text.normalization import has_words
from product_classifier.top_probabilities import TopProbabilities, batches

_BATCH = 256


@dataclass(frozen=True)
class Predictions:
    """Predictions of both models for `n` products, with the true categories.

    Rows of a modality that a product lacks hold placeholders.
    """

    products: pd.DataFrame
    codes: Codes
    """Category code of each column of `text` and `image`."""
    text: TopProbabilities
    image: TopProbabilities
    has_text: NDArray[np.bool_]
    has_image: NDArray[np.bool_]
    labels: NDArray[np.int64]
    """Columns of the true categories, `[n]`; -1 for a category that the models do not answer."""
    unlearned: dict[str, int] = field(default_factory=dict)
    """Products by code, whose category the models do not answer, nor one above it."""

    def combine(self, fusion: FusionModel) -> TopProbabilities:
        """Return the probabilities of the fusion."""
        return fusion.combine_top(self.text, self.image, self.has_text, self.has_image)


def predict(
    split: Path, raw: Path, text: Path, image: Path, taxonomy: Taxonomy | None = None, *, unanswered: bool = False
) -> Predictions:
    """Classify the products of a split that have a category of the models, and text or a photo.

    A photo that can no longer be read is dropped, and its product too if it has no text.

    Args:
        split: Products (parquet).
        raw: Folder their `image_path` is relative to.
        text: Bundle of the text model.
        image: Bundle of the image model.
        taxonomy: Products of a category that it does not answer count for the nearest one above that it answers.
        unanswered: Whether products of categories that the models do not answer are classified too.

    Raises:
        BundleRefused: If a bundle is invalid, or the two have different categories.
    """
    text_model, _ = load_text(text)
    image_model, _ = load_image(image)
    codes = text_model.codes
    if image_model.codes != codes:
        raise BundleRefused(
            f"image: has {len(image_model.codes)} categories, text {len(codes)} others; train both on one catalogue"
        )
    products = read_products(split)
    labelled = products["code"]
    if taxonomy is not None:
        products["code"] = codes_of_models(labelled, taxonomy)
    unlearned = labelled[~products["code"].isin(codes) & (labelled != "")].value_counts()
    has_text = [has_words(*row) for row in zip(products["designation"], products["description"], strict=True)]
    products = products.assign(has_text=has_text, has_image=products["image_path"] != "")
    usable = (products["code"].isin(codes) | unanswered) & (products["has_text"] | products["has_image"])
    products = products[usable].reset_index(drop=True)
    designations, descriptions = list(products["designation"]), list(products["description"])
    text_probabilities = TopProbabilities.concatenate(
        [
            TopProbabilities.of(text_model.probabilities(designations[rows], descriptions[rows]))
            for rows in batches(len(products))
        ],
        len(codes),
    )
    image_probabilities = TopProbabilities.uniform(len(products), len(codes))
    has_image = np.zeros(len(products), np.bool_)
    report, rows_with_photo = progress.on_stderr(), np.flatnonzero(products["has_image"])
    for start in range(0, len(rows_with_photo), _BATCH):
        rows = rows_with_photo[start : start + _BATCH]
        pixels = [_decode(raw, path, image_model) for path in products["image_path"][rows]]
        decoded = rows[[one is not None for one in pixels]]
        if len(decoded):
            found = np.stack([one for one in pixels if one is not None])
            image_probabilities.put(decoded, TopProbabilities.of(image_model.probabilities_from_pixels(found)))
        has_image[decoded] = True
        report("photos classified", start + len(rows), len(rows_with_photo))
    kept = products["has_text"].to_numpy(bool) | has_image
    products = products.assign(has_image=has_image)[kept].reset_index(drop=True)
    text_probabilities, image_probabilities = text_probabilities[kept], image_probabilities[kept]
    positions = {code: position for position, code in enumerate(codes)}
    return Predictions(
        products,
        codes,
        text_probabilities,
        image_probabilities,
        products["has_text"].to_numpy(bool),
        products["has_image"].to_numpy(bool),
        np.array([positions.get(code, -1) for code in products["code"]], np.int64),
        {str(code): int(count) for code, count in unlearned.items()},
    )


def codes_of_models(codes: pd.Series, taxonomy: Taxonomy) -> pd.Series:
    """Return the category where products of each code are learned; the code itself if there is none."""
    known = [code for code in codes.unique() if code in taxonomy]
    return codes.replace({code: taxonomy.class_of(code) or code for code in known})


def _decode(raw: Path, path: str, model: ImageModel) -> decoding.Pixels | None:
    """Return the pixels of a photo; None if its file is missing, or has changed since the catalogue was read."""
    try:
        return model.decode(photo_path(raw, path).read_bytes())
    except (InvalidImage, OSError) as error:
        get_logger().warning("photo_dropped", photo=path, reason=str(error))
        return None
