"""The fusion model: two opinions, or one of them, to one answer.

With both, the answer is a weighted product of the two, softmax(a_c log text_c + b_c log image_c + bias_c), with one
weight per category and modality. With one, that modality's own calibration (a sharpness and a bias) applies.
"""

from dataclasses import dataclass, fields
from pathlib import Path
from typing import Any, ClassVar

import numpy as np
from numpy.typing import NDArray

from product_classifier.arrays import read_json, write_json
from product_classifier.categories import CODES
from product_classifier.errors import BundleRefused
from product_classifier.text_model import codes_of, softmax

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
    codes: tuple[int, ...] = CODES

    def combine(self, text: Floats, image: Floats, has_text: Flags, has_image: Flags) -> Floats:
        """Return probabilities `[n, classes]`; rows of an absent modality are ignored, whatever they hold."""
        if neither := np.flatnonzero(~(has_text | has_image)).tolist():
            raise ValueError(f"products {neither[:5]} have neither text nor image")
        words = log_probabilities(text, has_text)
        photos = log_probabilities(image, has_image)
        both, spoken = (has_text & has_image)[:, None], has_text[:, None]
        logits = np.where(
            both,
            self.text_weight * words + self.image_weight * photos + self.bias,
            np.where(
                spoken,
                self.text_only_weight * words + self.text_only_bias,
                self.image_only_weight * photos + self.image_only_bias,
            ),
        )
        return softmax(logits.astype(np.float32))

    def save(self, folder: Path) -> None:
        """Write the model's file into an existing folder."""
        weights = {name: getattr(self, name).astype(float).round(9).tolist() for name in _WEIGHTS}
        write_json(folder / "model.json", {"type": self.TYPE, "codes": list(self.codes), **weights})

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
        return cls(**{name: _weights(settings, name, len(codes)) for name in _WEIGHTS}, codes=codes)

    @classmethod
    def neutral(cls) -> "FusionModel":
        """Return the model that trusts both alike and passes one alone through."""
        ones, zeros = np.ones(len(CODES), np.float32), np.zeros(len(CODES), np.float32)
        return cls(ones, ones, zeros, ones, zeros, ones, zeros)


_WEIGHTS = tuple(one.name for one in fields(FusionModel) if one.name != "codes")


def log_probabilities(probabilities: Floats, present: Flags) -> Floats:
    """Return log probabilities, floored; rows that are not present count as uniform."""
    safe = np.where(present[:, None], probabilities, 1.0 / probabilities.shape[1])
    return np.log(np.maximum(safe, _FLOOR)).astype(np.float32)


def _weights(settings: dict[str, Any], name: str, classes: int) -> Floats:
    try:
        values = np.asarray(settings[name], np.float32)
    except (KeyError, TypeError, ValueError) as error:
        raise BundleRefused(f"model.json: {name} is missing or not a list of numbers") from error
    if values.shape != (classes,) or not np.isfinite(values).all():
        raise BundleRefused(f"model.json: {name} is not {classes} finite numbers")
    return values
