"""Predictions of the models of a release for unseen products, in batches, without servers."""

import os
from collections.abc import Callable, Sequence
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from inference.simulation.open_loop import SimulatedPrediction
from inference.simulation.unseen import UnseenProduct
from product_classifier.errors import InvalidImage
from product_classifier.releases.release import load_fusion, load_image, load_text, open_release
from product_classifier.taxonomy import Codes
from product_classifier.text.normalization import has_words

BATCH = 64


class OfflineModels:
    """The three models of one release."""

    def __init__(self, folder: Path, codes: Codes) -> None:
        """Verify and load them; raise `BundleRefused` if that fails or their category codes are not `codes`."""
        self._release = open_release(folder, codes).id
        self._text, _ = load_text(folder)
        self._image, _ = load_image(folder)
        self._fusion, _ = load_fusion(folder)
        self._codes = codes

    def predict(
        self,
        products: Sequence[UnseenProduct],
        photos: dict[str, bytes],
        report_progress: Callable[[int], None] = lambda _: None,
    ) -> list[SimulatedPrediction | None]:
        """Predict each product, None for one without usable text and photo; batches run on all processors."""
        batches = [products[start : start + BATCH] for start in range(0, len(products), BATCH)]
        predictions: list[SimulatedPrediction | None] = []
        with ThreadPoolExecutor(os.cpu_count()) as pool:
            for batch in pool.map(lambda batch: self._predict_batch(batch, photos), batches):
                predictions += batch
                report_progress(len(predictions))
        return predictions

    def _predict_batch(
        self, products: Sequence[UnseenProduct], photos: dict[str, bytes]
    ) -> list[SimulatedPrediction | None]:
        designations = [product.designation for product in products]
        descriptions = [product.description for product in products]
        text = self._text.probabilities(designations, descriptions)
        has_text = np.array([has_words(*texts) for texts in zip(designations, descriptions, strict=True)])
        image, has_image = self._image_probabilities([photos.get(product.photo, b"") for product in products])
        usable = has_text | has_image
        predictions: list[SimulatedPrediction | None] = [None] * len(products)
        fused = self._fusion.combine(text[usable], image[usable], has_text[usable], has_image[usable])
        for row, probabilities in zip(np.flatnonzero(usable), fused, strict=True):
            best = int(probabilities.argmax())
            predictions[row] = SimulatedPrediction(self._codes[best], float(probabilities[best]), release=self._release)
        return predictions

    def _image_probabilities(self, photos: Sequence[bytes]) -> tuple[NDArray[np.float32], NDArray[np.bool_]]:
        """Return probabilities [n, classes] and which photos are usable; one by one if the batch has an invalid one."""
        present = [row for row, photo in enumerate(photos) if photo]
        found = np.full((len(photos), len(self._codes)), 1 / len(self._codes), np.float32)
        usable = np.zeros(len(photos), np.bool_)
        try:
            found[present] = self._image.probabilities([photos[row] for row in present])
            usable[present] = True
        except InvalidImage:
            for row in present:
                usable[row] = self._predict_photo(photos[row], found[row])
        return found, usable

    def _predict_photo(self, photo: bytes, out: NDArray[np.float32]) -> bool:
        try:
            out[:] = self._image.probabilities([photo])[0]
        except InvalidImage:
            return False
        return True
