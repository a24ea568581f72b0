"""The interface of text models."""

from abc import ABC, abstractmethod
from collections.abc import Sequence
from pathlib import Path
from typing import ClassVar

import numpy as np

from product_classifier.probabilities import Floats
from product_classifier.taxonomy import Codes
from product_classifier.text.normalization import normalize
from product_classifier.text.word_contributions import TextExplanation, explain_by_occlusion


class TextModel(ABC):
    """A classifier of text that returns one probability vector per product."""

    gains_from_batches: ClassVar[bool] = True
    """Whether the texts of several requests cost less in one call than in calls of their own."""

    codes: Codes
    prior: Floats
    """Probabilities `[classes]` of a product without words."""

    def probabilities(self, designations: Sequence[str], descriptions: Sequence[str]) -> Floats:
        """Return probabilities `[n, classes]` in the order of `codes`; a product without words gets the prior.

        Raises:
            ValueError: If there are not as many descriptions as designations.
        """
        if len(designations) != len(descriptions):
            raise ValueError(f"{len(designations)} designations but {len(descriptions)} descriptions")
        texts = [self.prepare(*product) for product in zip(designations, descriptions, strict=True)]
        result = np.tile(self.prior, (len(texts), 1))
        if rows := [row for row, text in enumerate(texts) if text]:
            result[rows] = self.classify([texts[row] for row in rows])
        return result

    def explain(self, designation: str, description: str, category: int) -> TextExplanation:
        """Return what the words contribute to the prediction of a category, a position in `codes`."""
        return explain_by_occlusion(self.probabilities, designation, description, category)

    @staticmethod
    def prepare(designation: str, description: str) -> str:
        """Return the prepared text of a product; empty if it has no words."""
        return normalize(designation, description)

    @abstractmethod
    def classify(self, texts: list[str]) -> Floats:
        """Return probabilities `[n, classes]` of prepared, non-empty texts."""

    @abstractmethod
    def save(self, folder: Path) -> None:
        """Write the files of the model into an existing folder."""
