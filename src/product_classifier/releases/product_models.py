"""The three models of a release in one process, without servers."""

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from product_classifier.errors import InvalidImage
from product_classifier.probabilities import Floats
from product_classifier.releases.release import load_fusion, load_image, load_text, open_release
from product_classifier.taxonomy import Codes
from product_classifier.text.normalization import has_words

Flags = NDArray[np.bool_]


@dataclass(frozen=True, slots=True)
class ProductScores:
    """Fused probabilities of `n` products."""

    probabilities: Floats
    """`[n, classes]`; rows of products without input hold no meaning."""
    accepted: Flags
    """Whether a prediction needs no review `[n]`."""
    has_text: Flags
    has_image: Flags
    """Whether a product has a photo that can be decoded `[n]`."""
    photo_problems: dict[int, str]
    """By row, why its photo cannot be used."""

    @property
    def with_input(self) -> Flags:
        """Whether a product has text or a photo `[n]`."""
        return self.has_text | self.has_image


class ProductModels:
    """The models of one release; thread-safe."""

    def __init__(self, folder: Path, codes: Codes | None = None) -> None:
        """Verify and load them.

        Args:
            folder: Folder of the release.
            codes: Category codes in the expected order; None accepts those of the release.

        Raises:
            BundleRefused: If a file, the category codes or a self-check differ from what is recorded.
        """
        self.release = open_release(folder, codes)
        self._text, _ = load_text(folder)
        self._image, _ = load_image(folder)
        self._fusion, _ = load_fusion(folder)

    def score(self, designations: Sequence[str], descriptions: Sequence[str], photos: Sequence[bytes]) -> ProductScores:
        """Return the scores of products; an empty photo is missing, one that is refused is left out."""
        text = self._text.probabilities(designations, descriptions)
        has_text = np.array([has_words(*texts) for texts in zip(designations, descriptions, strict=True)], np.bool_)
        image, has_image, problems = self._score_photos(photos)
        usable = has_text | has_image
        accepted = np.zeros(len(usable), np.bool_)
        if usable.all():
            fused = self._fusion.combine(text, image, has_text, has_image)
            accepted = self._fusion.accepts(fused)
        else:
            fused = np.zeros_like(text)
            fused[usable] = self._fusion.combine(text[usable], image[usable], has_text[usable], has_image[usable])
            accepted[usable] = self._fusion.accepts(fused[usable])
        return ProductScores(fused, accepted, has_text, has_image, problems)

    def _score_photos(self, photos: Sequence[bytes]) -> tuple[Floats, Flags, dict[int, str]]:
        """Return probabilities `[n, classes]`, which photos are usable, and why others are not."""
        classes = len(self.release.taxonomy)
        found = np.full((len(photos), classes), 1 / classes, np.float32)
        usable = np.zeros(len(photos), np.bool_)
        problems: dict[int, str] = {}
        rows, pixels = [], []
        for row, photo in enumerate(photos):
            if photo:
                try:
                    pixels.append(self._image.decode(photo))
                except InvalidImage as error:
                    problems[row] = str(error)
                else:
                    rows.append(row)
        if rows:
            found[rows] = self._image.probabilities_from_pixels(np.stack(pixels))
            usable[rows] = True
        return found, usable, problems
