"""Measure the training products and their out-of-fold predictions, as the reference of monitoring."""

from collections.abc import Sequence
from pathlib import Path

import numpy as np
import pandas as pd
from numpy.typing import NDArray

from components.shared.out_of_fold import folds_of, read_predicted
from components.shared.raw import photo_path
from product_classifier.monitoring.measured_products import (
    MISSING,
    MeasuredProducts,
    measure_texts,
    photo_columns,
    photo_features_of,
)
from product_classifier.monitoring.photo_measures import PhotoMeasures, measure_photo
from product_classifier.monitoring.reference_profile import MAX_PRODUCTS, ReferenceProfile
from product_classifier.monitoring.text_measures import VOCABULARY_BUCKETS, word_buckets, words_of
from product_classifier.releases.release import load_fusion

PHOTOS = 1000
"""Photos that are decoded for their brightness and size; of more, a sample."""


def run(
    train: Path,
    validation: Path,
    raw: Path,
    text_out_of_fold: Path,
    image_out_of_fold: Path,
    fusion: Path,
    reference: Path,
    seed: int = 27,
) -> int:
    """Write the folder `reference`; return the number of its products.

    Args:
        train: Products that the models are trained on (parquet).
        validation: More products with a category (parquet).
        raw: Folder of the raw files, which `image_path` is relative to.
        text_out_of_fold: Predictions of text models that were not trained on the product (parquet).
        image_out_of_fold: Predictions of image models that were not trained on the product (parquet).
        fusion: Bundle of the fusion model.
        reference: Folder of the profile to write.
        seed: Seed of the sample.

    Raises:
        CatalogueError: If a file of predictions has another format, or the two have different categories.
    """
    predicted = read_predicted(train, validation, text_out_of_fold, image_out_of_fold, ("image_path",))
    model, _ = load_fusion(fusion, predicted.codes)
    products, folds = predicted.labelled, folds_of(predicted.labelled, seed)
    rng = np.random.default_rng(seed)
    if len(predicted.rows) > MAX_PRODUCTS:
        predicted = predicted[np.sort(rng.choice(len(predicted.rows), MAX_PRODUCTS, replace=False))]
    rows, has_image = predicted.rows, predicted.has_image
    texts = list(zip(products["designation"].fillna(""), products["description"].fillna(""), strict=True))
    measured = measure_texts([texts[row] for row in rows])
    unknown, vocabulary = _vocabulary([word_buckets(words_of(*text), VOCABULARY_BUCKETS) for text in texts], folds)
    by_text, by_image = predicted.text, predicted.image
    fused = model.combine_top(by_text, by_image, predicted.has_text, has_image)
    confidence = fused.kept.max(axis=1)
    both = predicted.has_text & has_image
    profile = ReferenceProfile(
        MeasuredProducts(
            text_length=measured.text_length,
            language=measured.language,
            markup=measured.markup,
            designation_missing=measured.designation_missing,
            description_missing=measured.description_missing,
            words=measured.words,
            unknown_words=unknown[rows],
            photo_missing=(~has_image).astype(np.int32),
            **photo_columns(_photos(predicted.products, has_image, raw, rng)),
            predicted=fused.predicted.astype(np.int32),
            confidence=confidence.astype(np.float32),
            accepted=model.accepts_predicted(fused.predicted, confidence).astype(np.int32),
            disagreement=np.where(both, by_text.predicted != by_image.predicted, MISSING).astype(np.int32),
            photo_features=photo_features_of(by_image.dense(), has_image),
        ),
        correct=fused.predicted == predicted.labels,
        vocabulary=vocabulary,
    )
    reference.mkdir(parents=True, exist_ok=True)
    profile.save(reference)
    return len(rows)


def _vocabulary(
    buckets: Sequence[NDArray[np.uint32]], folds: NDArray[np.int64]
) -> tuple[NDArray[np.float32], NDArray[np.bool_]]:
    """Return the share of words `[n]` that only the product's fold has, and which buckets have a word.

    A word of a new product is unknown if the training has none; of a training product, if the other folds have none.
    """
    seen = {fold: np.zeros(VOCABULARY_BUCKETS, np.bool_) for fold in np.unique(folds).tolist()}
    for fold, row in zip(folds.tolist(), buckets, strict=True):
        seen[fold][row] = True
    others = {
        fold: np.logical_or.reduce([found for other, found in seen.items() if other != fold] or [seen[fold]])
        for fold in seen
    }
    shares = [
        float(np.mean(~others[fold][row])) if len(row) else MISSING
        for fold, row in zip(folds.tolist(), buckets, strict=True)
    ]
    return np.array(shares, np.float32), np.logical_or.reduce(list(seen.values()))


def _photos(
    products: pd.DataFrame, has_image: NDArray[np.bool_], raw: Path, rng: np.random.Generator
) -> list[PhotoMeasures | None]:
    """Return the measures of at most `PHOTOS` photos, None for the others."""
    rows = np.flatnonzero(has_image)
    chosen = set(rng.choice(rows, min(PHOTOS, len(rows)), replace=False).tolist())
    paths = products["image_path"].tolist()
    return [_photo(raw, paths[row]) if row in chosen else None for row in range(len(paths))]


def _photo(raw: Path, image_path: str) -> PhotoMeasures | None:
    try:
        return measure_photo(photo_path(raw, image_path).read_bytes())
    except OSError:
        return None
