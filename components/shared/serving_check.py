"""Check in this process that a release can serve: predict the products of its bundles' self-checks.

The products travel with the bundles, so the check needs no data.
"""

import base64
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from time import perf_counter
from typing import Any

import numpy as np
from numpy.typing import NDArray

from product_classifier.errors import BundleRefused
from product_classifier.releases.release import load_fusion, load_image, load_text
from product_classifier.text.normalization import has_words

TEXTS = 3
"""Number of self-check texts that are used."""
ROUNDS = 5


@dataclass(frozen=True, slots=True)
class KnownProduct:
    """A product of a self-check."""

    designation: str
    description: str
    photo: bytes | None


class ReleaseModels:
    """The three models of a release, fused as the servers fuse them."""

    def __init__(self, release: Path) -> None:
        """Verify and load the bundles of a release folder; raise `BundleRefused` for an invalid one."""
        self._text, text = load_text(release / "text")
        self._image, image = load_image(release / "image")
        self._fusion, _ = load_fusion(release / "fusion")
        self.codes = self._fusion.codes
        self.known_products = _known_products(text.self_check, image.self_check)

    def predict(self, product: KnownProduct) -> NDArray[np.float32]:
        """Return the probabilities `[classes]` of one product."""
        classes = len(self._fusion.codes)
        text = image = np.zeros((1, classes), np.float32)
        has_text = has_words(product.designation, product.description)
        if has_text:
            text = self._text.probabilities([product.designation], [product.description])
        if product.photo is not None:
            image = self._image.probabilities([product.photo])
        flags = np.array([has_text]), np.array([product.photo is not None])
        found: NDArray[np.float32] = self._fusion.combine(text, image, *flags)[0]
        return found

    def predict_each(self, products: Sequence[KnownProduct]) -> list[NDArray[np.float32]]:
        """Predict one product at a time; raise `BundleRefused` if a result is not a probability vector."""
        found = [self.predict(product) for product in products]
        if not all(np.isfinite(one).all() and abs(float(one.sum()) - 1) < 1e-3 for one in found):
            raise BundleRefused("self-check: predictions for known products are not probabilities; train again")
        return found


def _known_products(text: Mapping[str, Any], image: Mapping[str, Any]) -> list[KnownProduct]:
    """Return products with text and photo, text only and photo only from two self-checks."""
    texts = list(zip(text["designation"], text["description"], strict=True))[:TEXTS]
    photos = [base64.b64decode(photo) for photo in image["image"]]
    both = [KnownProduct(*fields, photos[number % len(photos)]) for number, fields in enumerate(texts)]
    text_only = [KnownProduct(*fields, None) for fields in texts if has_words(*fields)]
    return [*both, *text_only, *(KnownProduct("", "", photo) for photo in photos)]


def ms_per_product(models: Sequence[ReleaseModels], products: Sequence[KnownProduct]) -> list[float]:
    """Return the latency of each release: the fastest of interleaved rounds, as load only adds time."""
    rounds = [[_seconds(one, products) for one in models] for _ in range(ROUNDS)]
    return [1000 * best / max(len(products), 1) for best in map(min, zip(*rounds, strict=True))]


def _seconds(models: ReleaseModels, products: Sequence[KnownProduct]) -> float:
    started_s = perf_counter()
    models.predict_each(products)
    return perf_counter() - started_s
