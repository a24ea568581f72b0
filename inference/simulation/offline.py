"""Predictions of the models of a release for unseen products, in batches, without servers."""

import os
from collections.abc import Callable, Sequence
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import numpy as np

from inference.simulation.open_loop import SimulatedPrediction
from inference.simulation.unseen import UnseenProduct
from product_classifier.releases.product_models import ProductModels

BATCH = 64


class OfflineModels:
    """The three models of one release."""

    def __init__(self, folder: Path) -> None:
        """Verify and load them; raise `BundleRefused` if that fails."""
        self._models = ProductModels(folder)

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
        scores = self._models.score(
            [product.designation for product in products],
            [product.description for product in products],
            [photos.get(product.photo, b"") for product in products],
        )
        predictions: list[SimulatedPrediction | None] = [None] * len(products)
        for row in np.flatnonzero(scores.with_input):
            probabilities = scores.probabilities[row]
            best = int(probabilities.argmax())
            predictions[row] = SimulatedPrediction(
                self._models.release.taxonomy.codes[best], float(probabilities[best]), release=self._models.release.id
            )
        return predictions
