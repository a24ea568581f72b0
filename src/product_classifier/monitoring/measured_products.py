"""The measures of many products as columns: of a window, or of what a release was trained on."""

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, fields
from typing import Any, Final, Self

import numpy as np
from numpy.typing import NDArray

from product_classifier.monitoring.photo_measures import FORMATS, PhotoMeasures
from product_classifier.monitoring.text_measures import LANGUAGES, distinct_words, has_markup, language_of, word_buckets
from product_classifier.probabilities import Floats
from product_classifier.text.normalization import normalize

Numbers = NDArray[np.float32]
Integers = NDArray[np.int32]
Words = tuple[Integers, Integers]
"""Starts `[n + 1]` of the rows in the second array, which has the buckets of all rows."""
MISSING: Final = -1
"""Stands for a value that a product does not have, in every column."""
PHOTO_FEATURES: Final = 64
"""Largest number of features of the image model's probabilities."""


@dataclass(frozen=True, slots=True)
class MeasuredProducts:
    """Measures of `n` products; `MISSING` where a product lacks what is measured."""

    text_length: Numbers
    """Characters of the normalized text."""
    unknown_words: Numbers
    """Share of the distinct words that the training did not have."""
    language: Integers
    """Position in `LANGUAGES`."""
    markup: Integers
    """1 with HTML in the texts, else 0."""
    designation_missing: Integers
    description_missing: Integers
    photo_missing: Integers
    photo_format: Integers
    """Position in `FORMATS`."""
    photo_size: Numbers
    brightness: Numbers
    saturation: Numbers
    predicted: Integers
    """Position of the predicted category."""
    confidence: Numbers
    accepted: Integers
    disagreement: Integers
    """1 if text and photo alone have different categories, 0 if the same."""
    photo_features: Floats
    """Features of the image model `[n, k]`; rows of `MISSING` where there are none, see `photo_features_of`."""
    words: Words
    """Buckets of the words of each product."""

    def __len__(self) -> int:
        return len(self.text_length)

    def take(self, rows: NDArray[np.integer]) -> Self:
        """Return the products at these positions."""
        columns = {one.name: getattr(self, one.name)[rows] for one in fields(self) if one.name != "words"}
        return type(self)(**columns, words=take_words(self.words, rows))

    def columns(self) -> Mapping[str, NDArray[Any]]:
        """Return all but the words by name."""
        return {one.name: getattr(self, one.name) for one in fields(self) if one.name != "words"}


def take_words(words: Words, rows: NDArray[np.integer]) -> Words:
    """Return the words of the products at these positions."""
    starts, buckets = words
    lengths = starts[rows + 1] - starts[rows]
    ends = np.concatenate([[0], np.cumsum(lengths)]).astype(np.int32)
    positions = np.arange(ends[-1], dtype=np.int64) - np.repeat(ends[:-1], lengths) + np.repeat(starts[rows], lengths)
    return ends, buckets[positions]


@dataclass(frozen=True, slots=True)
class TextColumns:
    """The measures of texts, before they are joined with those of photos and predictions."""

    text_length: Numbers
    language: Integers
    markup: Integers
    designation_missing: Integers
    description_missing: Integers
    words: Words


def measure_texts(texts: Sequence[tuple[str, str]]) -> TextColumns:
    """Return the measures of designations and descriptions."""
    found = list(_measured_texts(texts))
    lengths, languages, markups, buckets = zip(*found, strict=True) if found else ((),) * 4
    starts = np.concatenate([[0], np.cumsum([len(one) for one in buckets])]).astype(np.int32)
    return TextColumns(
        text_length=np.array(lengths, np.float32),
        language=np.array(languages, np.int32),
        markup=np.array(markups, np.int32),
        designation_missing=np.array([not title.strip() for title, _ in texts], np.int32),
        description_missing=np.array([not text.strip() for _, text in texts], np.int32),
        words=(starts, np.concatenate([np.zeros(0, np.uint32), *buckets]).astype(np.int32)),
    )


def _measured_texts(texts: Sequence[tuple[str, str]]) -> Iterator[tuple[Any, ...]]:
    for designation, description in texts:
        normalized = normalize(designation, description)
        words = distinct_words(normalized)
        language = language_of(normalized)
        yield (
            len(normalized) if words else MISSING,
            LANGUAGES.index(language) if language else MISSING,
            int(has_markup(designation) or has_markup(description)),
            word_buckets(words),
        )


def photo_columns(photos: Sequence[PhotoMeasures | None]) -> dict[str, Any]:
    """Return the columns of photos; None for a product whose photo was not measured."""
    formats = [MISSING if one is None else FORMATS.index(one.format) for one in photos]
    rows = [(MISSING,) * 3 if one is None else (one.log_pixels, one.brightness, one.saturation) for one in photos]
    numbers = np.array(rows, np.float32).reshape(len(photos), 3)
    return {
        "photo_format": np.array(formats, np.int32),
        "photo_size": numbers[:, 0],
        "brightness": numbers[:, 1],
        "saturation": numbers[:, 2],
    }


def photo_features_of(probabilities: Floats, present: NDArray[np.bool_]) -> Floats:
    """Return the square roots of the image model's probabilities `[n, classes]`.

    Rows without a photo are `MISSING`. The outputs of the model are the reduction that finds shifts best (Rabanser et
    al. 2019, "Failing Loudly"); the square root makes Euclidean distances those of Hellinger. Of many categories those
    at the same position modulo `PHOTO_FEATURES` share one.
    """
    rows, classes = probabilities.shape
    size = min(classes, PHOTO_FEATURES)
    summed = np.zeros((rows, size), np.float32)
    for start in range(0, classes, size):
        part = probabilities[:, start : start + size]
        summed[:, : part.shape[1]] += part
    features = np.sqrt(summed)
    features[~present] = MISSING
    return features.astype(np.float32)
