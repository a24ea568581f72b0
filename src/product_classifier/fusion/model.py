"""The fusion model: two opinions, or one of them, to one answer.

With both, the answer is a weighted product of the two, softmax(a_c log text_c + b_c log image_c + bias_c), with one
weight per category and modality. With one, that modality's own calibration (a sharpness and a bias) applies. A share of
every answer, the doubt, goes to all categories alike: some labels are wrong however clear a product is.
"""

from dataclasses import dataclass, field, fields
from pathlib import Path
from typing import Any, ClassVar

import numpy as np
from numpy.typing import NDArray

from product_classifier.bundles.arrays import read_json, write_json
from product_classifier.errors import BundleRefused
from product_classifier.taxonomy import CODES
from product_classifier.text.model import codes_of, softmax

Floats = NDArray[np.float32]
Flags = NDArray[np.bool_]

_FLOOR = 1e-6
"""A category is never ruled out by one modality alone."""


@dataclass(frozen=True)
class FusionModel:
    """Weights `[classes]` for each situation."""

    TYPE: ClassVar[str] = "log-linear"

    text_weight: Floats
    image_weight: Floats
    bias: Floats
    text_only_weight: Floats
    text_only_bias: Floats
    image_only_weight: Floats
    image_only_bias: Floats
    doubts: Floats = field(default_factory=lambda: np.zeros(3, np.float32))
    """With both, with text alone, with a photo alone."""
    codes: tuple[int, ...] = CODES

    def combine(self, text: Floats, image: Floats, has_text: Flags, has_image: Flags) -> Floats:
        """Return probabilities `[n, classes]`; rows of an absent modality are ignored, whatever they hold."""
        if neither := np.flatnonzero(~(has_text | has_image)).tolist():
            raise ValueError(f"products {neither[:5]} have neither text nor image")
        answers = np.empty(text.shape, np.float32)
        for rows, combined, doubt in (
            (has_text & has_image, self._both, self.doubts[0]),
            (has_text & ~has_image, self._text_only, self.doubts[1]),
            (has_image & ~has_text, self._image_only, self.doubts[2]),
        ):
            count = np.count_nonzero(rows)
            if count == len(rows):  # the rule, and half of the time
                return _doubting(softmax(combined(text, image)), doubt)
            if count:
                answers[rows] = _doubting(softmax(combined(text[rows], image[rows])), doubt)
        return answers

    def _both(self, text: Floats, image: Floats) -> Floats:
        return self.text_weight * _logarithms(text) + self.image_weight * _logarithms(image) + self.bias

    def _text_only(self, text: Floats, _: Floats) -> Floats:
        return self.text_only_weight * _logarithms(text) + self.text_only_bias

    def _image_only(self, _: Floats, image: Floats) -> Floats:
        return self.image_only_weight * _logarithms(image) + self.image_only_bias

    def save(self, folder: Path) -> None:
        """Write the model's file into an existing folder."""
        weights = {name: getattr(self, name).astype(float).round(9).tolist() for name in _WEIGHTS}
        doubts = self.doubts.astype(float).round(9).tolist()
        write_json(folder / "model.json", {"type": self.TYPE, "codes": list(self.codes), **weights, "doubts": doubts})

    @classmethod
    def load(cls, folder: Path) -> "FusionModel":
        """Read a model.

        Raises:
            BundleRefused: If the file is not a fusion model.
        """
        settings = read_json(folder / "model.json")
        if settings.get("type") != cls.TYPE:
            raise BundleRefused(f"model.json: type is {settings.get('type')!r}, not {cls.TYPE!r}")
        codes = codes_of(settings)
        doubts = _weights({"doubts": [0.0] * 3} | settings, "doubts", 3)  # older releases have none
        if doubts.min() < 0 or doubts.max() >= 1:
            raise BundleRefused(f"model.json: doubts are not shares: {doubts.tolist()}")
        weights = {name: _weights(settings, name, len(codes)) for name in _WEIGHTS}
        return cls(**weights, doubts=doubts, codes=codes)

    @classmethod
    def neutral(cls) -> "FusionModel":
        """Return the model that trusts both alike and passes one alone through."""
        ones, zeros = np.ones(len(CODES), np.float32), np.zeros(len(CODES), np.float32)
        return cls(ones, ones, zeros, ones, zeros, ones, zeros)


_WEIGHTS = tuple(one.name for one in fields(FusionModel) if one.name not in {"doubts", "codes"})


def log_probabilities(probabilities: Floats, present: Flags) -> Floats:
    """Return log probabilities, floored; rows that are not present count as uniform."""
    return _logarithms(np.where(present[:, None], probabilities, 1.0 / probabilities.shape[1]))


def _doubting(probabilities: Floats, doubt: np.float32) -> Floats:
    shared: Floats = (1 - doubt) * probabilities + doubt / probabilities.shape[1]
    return shared


def _logarithms(probabilities: Floats) -> Floats:
    return np.log(np.maximum(probabilities, _FLOOR)).astype(np.float32)


def _weights(settings: dict[str, Any], name: str, classes: int) -> Floats:
    try:
        values = np.asarray(settings[name], np.float32)
    except (KeyError, TypeError, ValueError) as error:
        raise BundleRefused(f"model.json: {name} is missing or not a list of numbers") from error
    if values.shape != (classes,) or not np.isfinite(values).all():
        raise BundleRefused(f"model.json: {name} is not {classes} finite numbers")
    return values
