"""The measures of the products of a window: texts from the log, photos from the object store."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np

from product_classifier.errors import InvalidImage, ObjectNotFound
from product_classifier.feedback.records import PredictionRecord, image_key
from product_classifier.images.model import ImageModel
from product_classifier.monitoring.measured_products import (
    MISSING,
    MeasuredProducts,
    measure_texts,
    photo_columns,
    photo_features_of,
)
from product_classifier.monitoring.photo_measures import PhotoMeasures, measure_photo
from product_classifier.monitoring.reference_profile import ReferenceProfile
from product_classifier.monitoring.text_measures import VOCABULARY_BUCKETS, word_buckets, words_of
from product_classifier.store import ObjectStore
from product_classifier.taxonomy import Codes

PHOTOS = 400
"""Photos of a window that are read and classified; of more, a sample."""


@dataclass(frozen=True, slots=True)
class WindowProducts:
    """The products of a window and their measures."""

    records: Sequence[PredictionRecord]
    measured: MeasuredProducts
    words: Sequence[frozenset[str]]
    photos: Mapping[int, bytes]
    """Photos that were read, by row."""


def read_photos(store: ObjectStore, records: Sequence[PredictionRecord], seed: int) -> dict[int, bytes]:
    """Return at most `PHOTOS` photos by row; one that is no longer stored is left out."""
    rows = [row for row, record in enumerate(records) if record.product.image_sha256]
    chosen = np.random.default_rng(seed).permutation(rows)[:PHOTOS].tolist()
    found = {}
    for row in sorted(chosen):
        try:
            found[row] = store.get(image_key(str(records[row].product.image_sha256)))
        except ObjectNotFound:
            continue
    return found


def measure_products(
    records: Sequence[PredictionRecord],
    photos: Mapping[int, bytes],
    profile: ReferenceProfile,
    image: ImageModel,
) -> WindowProducts:
    """Return the measures of the products of predictions.

    Args:
        records: The predictions.
        photos: Photos by position in `records`; those of other products are not measured.
        profile: The reference, whose vocabulary says which words are known.
        image: The image model of the release.
    """
    texts = [(record.product.designation, record.product.description) for record in records]
    text = measure_texts(texts)
    words = [words_of(*one) for one in texts]
    unknown = [profile.share_unknown(word_buckets(one, VOCABULARY_BUCKETS)) if one else MISSING for one in words]
    codes: Codes = image.codes
    positions = {code: position for position, code in enumerate(codes)}
    measured, features = _measure_photos(photos, len(records), image)
    return WindowProducts(
        records,
        MeasuredProducts(
            text_length=text.text_length,
            unknown_words=np.array(unknown, np.float32),
            language=text.language,
            markup=text.markup,
            designation_missing=text.designation_missing,
            description_missing=text.description_missing,
            photo_missing=np.array([record.product.image_sha256 is None for record in records], np.int32),
            **photo_columns(measured),
            predicted=np.array([positions.get(record.code, MISSING) for record in records], np.int32),
            confidence=np.array([record.confidence for record in records], np.float32),
            accepted=np.array([_accepted(record) for record in records], np.int32),
            disagreement=np.array([_disagreement(record) for record in records], np.int32),
            photo_features=features,
            words=text.words,
        ),
        words,
        photos,
    )


def load_image_model(release: Path) -> ImageModel:
    """Return the image model of a release folder that was verified."""
    return ImageModel.load(release / "image")


def _measure_photos(
    photos: Mapping[int, bytes], count: int, image: ImageModel
) -> tuple[list[PhotoMeasures | None], np.ndarray]:
    """Return measures and features by row."""
    probabilities = np.zeros((count, len(image.codes)), np.float32)
    present = np.zeros(count, np.bool_)
    measured: list[PhotoMeasures | None] = [None] * count
    rows, pixels = [], []
    for row, photo in photos.items():
        measured[row] = measure_photo(photo)
        try:
            pixels.append(image.decode(photo))
        except InvalidImage:
            continue
        rows.append(row)
    if rows:
        probabilities[rows] = image.probabilities_from_pixels(np.stack(pixels))
        present[rows] = True
    return measured, photo_features_of(probabilities, present)


def _accepted(record: PredictionRecord) -> int:
    return MISSING if record.decision is None else int(record.decision == "accept")


def _disagreement(record: PredictionRecord) -> int:
    text, image = record.modalities.text, record.modalities.image
    return MISSING if text is None or image is None else int(text.code != image.code)
