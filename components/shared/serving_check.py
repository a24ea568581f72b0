"""Try a release out on a few known products, in this process.

The products are those its bundles carry for their self-tests, so nothing else is needed, wherever it is tried out.
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
from product_classifier.text.normalization import normalize

TEXTS = 3
"""How many of the texts of a self-test are asked about."""
ROUNDS = 5


@dataclass(frozen=True, slots=True)
class Product:
    """A product as somebody asks about it."""

    designation: str
    description: str
    photo: bytes | None


class Models:
    """The three models of a release, fused as the servers fuse them."""

    def __init__(self, release: Path) -> None:
        """Verify and load; `BundleRefused` if one of them is not what it says."""
        self._text, text = load_text(release / "text")
        self._image, image = load_image(release / "image")
        self._fusion, _ = load_fusion(release / "fusion")
        self.known_products = _known_products(text.self_test, image.self_test)

    def answer(self, product: Product) -> NDArray[np.float32]:
        """Return the probabilities `[classes]` of one product."""
        classes = len(self._fusion.codes)
        text = image = np.zeros((1, classes), np.float32)
        has_text = bool(normalize(product.designation, product.description))
        if has_text:
            text = self._text.probabilities([product.designation], [product.description])
        if product.photo is not None:
            image = self._image.probabilities([product.photo])
        flags = np.array([has_text]), np.array([product.photo is not None])
        found: NDArray[np.float32] = self._fusion.combine(text, image, *flags)[0]
        return found

    def answers(self, products: Sequence[Product]) -> list[NDArray[np.float32]]:
        """Answer each product on its own; `BundleRefused` if what comes out is no answer."""
        found = [self.answer(product) for product in products]
        if not all(np.isfinite(one).all() and abs(float(one.sum()) - 1) < 1e-3 for one in found):
            raise BundleRefused("self-test: the answers to known products are not probabilities")
        return found


def _known_products(text: Mapping[str, Any], image: Mapping[str, Any]) -> list[Product]:
    """Make products of the questions of two self-tests: with text and photo, text alone, photo alone."""
    texts = list(zip(text["designation"], text["description"], strict=True))[:TEXTS]
    photos = [base64.b64decode(photo) for photo in image["image"]]
    both = [Product(*words, photos[number % len(photos)]) for number, words in enumerate(texts)]
    return [*both, *(Product(*words, None) for words in texts), *(Product("", "", photo) for photo in photos)]


def ms_per_product(models: Sequence[Models], products: Sequence[Product]) -> list[float]:
    """Time releases against each other: in turns, and the best of several rounds, as a busy machine only adds."""
    rounds = [[_seconds(one, products) for one in models] for _ in range(ROUNDS)]
    return [1000 * best / max(len(products), 1) for best in map(min, zip(*rounds, strict=True))]


def _seconds(models: Models, products: Sequence[Product]) -> float:
    began = perf_counter()
    models.answers(products)
    return perf_counter() - began
