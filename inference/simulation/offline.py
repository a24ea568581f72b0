"""The unseen products straight through the models of a release, in batches, without servers."""

import os
from collections.abc import Callable, Sequence
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from inference.simulation.replay import Answer
from inference.simulation.unseen import Product
from product_classifier.errors import InvalidImage
from product_classifier.releases.release import load_fusion, load_image, load_text, open_release
from product_classifier.taxonomy import CODES
from product_classifier.text.normalization import normalize

BATCH = 64


class Models:
    """The three models of one release."""

    def __init__(self, folder: Path) -> None:
        """Verify and load them; raises `BundleRefused`."""
        self._release = open_release(folder).id
        self._text, _ = load_text(folder)
        self._image, _ = load_image(folder)
        self._fusion, _ = load_fusion(folder)

    def answer(
        self, products: Sequence[Product], photos: dict[str, bytes], tell: Callable[[int], None] = lambda _: None
    ) -> list[Answer | None]:
        """Answer every product, None for one of which nothing can be seen; batches share the processors."""
        batches = [products[at : at + BATCH] for at in range(0, len(products), BATCH)]
        answers: list[Answer | None] = []
        with ThreadPoolExecutor(os.cpu_count()) as pool:
            for batch in pool.map(lambda batch: self._batch(batch, photos), batches):
                answers += batch
                tell(len(answers))
        return answers

    def _batch(self, products: Sequence[Product], photos: dict[str, bytes]) -> list[Answer | None]:
        designations = [product.designation for product in products]
        descriptions = [product.description for product in products]
        text = self._text.probabilities(designations, descriptions)
        has_text = np.array([bool(normalize(*words)) for words in zip(designations, descriptions, strict=True)])
        image, has_image = self._look_at([photos.get(product.photo, b"") for product in products])
        seen = has_text | has_image
        answers: list[Answer | None] = [None] * len(products)
        fused = self._fusion.combine(text[seen], image[seen], has_text[seen], has_image[seen])
        for row, probabilities in zip(np.flatnonzero(seen), fused, strict=True):
            best = int(probabilities.argmax())
            answers[row] = Answer(CODES[best], float(probabilities[best]), release=self._release)
        return answers

    def _look_at(self, photos: Sequence[bytes]) -> tuple[NDArray[np.float32], NDArray[np.bool_]]:
        """Return probabilities of every photo and which of them could be used; all at once where all can."""
        shown = [row for row, photo in enumerate(photos) if photo]
        found = np.full((len(photos), len(CODES)), 1 / len(CODES), np.float32)
        usable = np.zeros(len(photos), np.bool_)
        try:
            found[shown] = self._image.probabilities([photos[row] for row in shown])
            usable[shown] = True
        except InvalidImage:
            for row in shown:
                usable[row] = self._try(photos[row], found[row])
        return found, usable

    def _try(self, photo: bytes, into: NDArray[np.float32]) -> bool:
        try:
            into[:] = self._image.probabilities([photo])[0]
        except InvalidImage:
            return False
        return True
