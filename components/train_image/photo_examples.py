"""Photos to train a network on, decoded batch by batch: memory holds the pixels of a few batches."""

import os
from concurrent.futures import ThreadPoolExecutor

import numpy as np
import torch
from numpy.typing import NDArray

from components.shared.fine_tuning.examples import Batch
from components.train_image import augmentation
from components.train_image.labelled_photos import LabelledPhotos
from components.train_image.photo_features import decode
from product_classifier.errors import CatalogueError


class PhotoExamples:
    """Labelled photos of a square size in pixels.

    Decoders release the interpreter lock, so threads use all cores.
    """

    def __init__(self, photos: LabelledPhotos, size: int) -> None:
        self.photos, self.size = photos, size
        self.labels = photos.labels
        self.lengths = np.ones(len(photos), np.int64)
        self._threads = ThreadPoolExecutor(os.cpu_count())

    def load(self, rows: NDArray[np.int64], random: torch.Generator | None) -> Batch:
        """Return pixels `[n, size, size, 3]` and, to train on them, how they are augmented.

        A photo whose file has changed since the catalogue was read is replaced by another one of the batch.

        Raises:
            CatalogueError: If no photo of the batch can be decoded.
        """
        decoded = list(self._threads.map(lambda row: decode(self.photos, int(row), self.size), rows))
        usable = [(row, one) for row, one in zip(rows, decoded, strict=True) if one is not None]
        if not usable:
            paths = ", ".join(self.photos.path(int(row)) for row in rows[:3])
            raise CatalogueError(f"{paths}: none of these photos can be decoded; restore the files")
        chosen = (usable * len(rows))[: len(rows)]
        pixels = torch.from_numpy(np.stack([one for _, one in chosen]))
        labels = torch.from_numpy(self.labels[[row for row, _ in chosen]])
        drawn = () if random is None else augmentation.draw(len(rows), random)
        return Batch((pixels, *drawn), labels)


def decodable(photos: LabelledPhotos, size: int) -> NDArray[np.bool_]:
    """Return which photos can be decoded `[n]`; the others are logged."""
    with ThreadPoolExecutor(os.cpu_count()) as threads:
        found = threads.map(lambda row: decode(photos, row, size) is not None, range(len(photos)))
        return np.fromiter(found, np.bool_, len(photos))
