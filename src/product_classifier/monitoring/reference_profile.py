"""The reference of a release: measures of its training products and out-of-fold predictions.

It is part of the fusion's bundle in a release, in two files that earlier versions of the services check and do not
read. It has no text and no photo: words are hashed buckets, photos a few numbers. Releases of earlier versions have
none, and are watched without a comparison.
"""

from dataclasses import dataclass
from pathlib import Path
from typing import Final

import numpy as np
from numpy.typing import NDArray

from product_classifier.bundles.arrays import check_shapes, read_arrays, read_json, write_arrays, write_json
from product_classifier.errors import BundleRefused
from product_classifier.monitoring.measured_products import MeasuredProducts
from product_classifier.monitoring.photo_measures import FORMATS
from product_classifier.monitoring.text_measures import LANGUAGES, VOCABULARY_BUCKETS, WORD_BUCKETS

SETTINGS_FILE: Final = "reference.json"
ARRAYS_FILE: Final = "reference.npz"
MAX_PRODUCTS: Final = 4000
"""Products of the reference; of more, a sample."""
_VERSION: Final = 1
_INTEGERS: Final = {
    "language", "markup", "designation_missing", "description_missing", "photo_missing", "photo_format", "predicted",
    "accepted", "disagreement", "word_starts", "word_buckets",
}  # fmt: skip
_NUMBERS: Final = {
    "text_length", "unknown_words", "photo_size", "brightness", "saturation", "confidence", "photo_features",
}  # fmt: skip
_DTYPES: Final = (
    dict.fromkeys(_INTEGERS, "int32") | dict.fromkeys(_NUMBERS, "float32") | {"vocabulary": "uint8", "correct": "uint8"}
)


@dataclass(frozen=True, slots=True)
class ReferenceProfile:
    """What windows of a release are compared with."""

    products: MeasuredProducts
    correct: NDArray[np.bool_]
    """Whether the out-of-fold prediction is the label `[n]`."""
    vocabulary: NDArray[np.bool_]
    """Whether a training text has a word of the bucket `[VOCABULARY_BUCKETS]`."""

    def share_unknown(self, buckets: NDArray[np.uint32]) -> float:
        """Return the share of the buckets of a product's words that no training text has; NaN without words."""
        return float(np.mean(~self.vocabulary[buckets])) if len(buckets) else float("nan")

    def save(self, folder: Path) -> None:
        """Write the files into an existing folder."""
        products = self.products
        starts, buckets = products.words
        write_arrays(
            folder / ARRAYS_FILE,
            **products.columns(),
            word_starts=starts,
            word_buckets=buckets,
            correct=self.correct.astype(np.uint8),
            vocabulary=np.packbits(self.vocabulary),
        )
        settings = {
            "version": _VERSION,
            "languages": list(LANGUAGES),
            "formats": list(FORMATS),
            "word_buckets": WORD_BUCKETS,
            "vocabulary_buckets": VOCABULARY_BUCKETS,
            "products": len(products),
        }
        write_json(folder / SETTINGS_FILE, settings)

    @classmethod
    def load(cls, folder: Path) -> "ReferenceProfile | None":
        """Read the files in a folder; None if it has none, or of a version this one does not know.

        Raises:
            BundleRefused: If a file is malformed.
        """
        if not (folder / SETTINGS_FILE).is_file():
            return None
        settings = read_json(folder / SETTINGS_FILE)
        expected = {
            "version": _VERSION,
            "languages": list(LANGUAGES),
            "formats": list(FORMATS),
            "word_buckets": WORD_BUCKETS,
            "vocabulary_buckets": VOCABULARY_BUCKETS,
        }
        if any(settings.get(name) != value for name, value in expected.items()):
            return None
        arrays = read_arrays(folder / ARRAYS_FILE, _DTYPES)
        correct, packed = arrays.pop("correct"), arrays.pop("vocabulary")
        words = arrays.pop("word_starts"), arrays.pop("word_buckets")
        count = len(correct)
        shapes = {name: (count,) for name in arrays if name != "photo_features"}
        check_shapes(ARRAYS_FILE, arrays, shapes)
        if arrays["photo_features"].ndim != 2 or len(arrays["photo_features"]) != count:
            raise BundleRefused(f"{ARRAYS_FILE}: photo_features has shape {arrays['photo_features'].shape}")
        starts, buckets = words
        if len(starts) != count + 1 or starts[0] or starts[-1] != len(buckets) or (np.diff(starts) < 0).any():
            raise BundleRefused(f"{ARRAYS_FILE}: word_starts are not {count + 1} ascending positions")
        if len(buckets) and (buckets.min() < 0 or buckets.max() >= WORD_BUCKETS):
            raise BundleRefused(f"{ARRAYS_FILE}: word_buckets are not from 0 to {WORD_BUCKETS - 1}")
        if packed.shape != (VOCABULARY_BUCKETS // 8,):
            raise BundleRefused(f"{ARRAYS_FILE}: vocabulary has shape {packed.shape}, not ({VOCABULARY_BUCKETS // 8},)")
        products = MeasuredProducts(**arrays, words=words)
        return cls(products, correct.astype(np.bool_), np.unpackbits(packed).astype(np.bool_))
