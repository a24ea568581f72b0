"""Log-linear fusion of text and image probabilities.

With both modalities: softmax(a_c log text_c + b_c log image_c + bias_c), a logarithmic opinion pool with one weight
per category and modality. With one modality: a weight and a bias per category. In each case a uniform distribution is
mixed in to model label noise.
"""

from dataclasses import dataclass, field, fields
from pathlib import Path
from typing import Any, ClassVar

import numpy as np
from numpy.typing import NDArray

from product_classifier.bundles.arrays import read_json, write_json
from product_classifier.bundles.bundle import read_codes
from product_classifier.decisions import DEFAULT_THRESHOLD, NEVER_ACCEPTED
from product_classifier.errors import BundleRefused
from product_classifier.fusion.ancestors import AncestorAnswer, Ancestors
from product_classifier.probabilities import Floats, softmax
from product_classifier.taxonomy import Codes
from product_classifier.taxonomy.stored_codes import all_to_stored
from product_classifier.top_probabilities import CANDIDATES, Columns, TopProbabilities, batches, top_columns

Flags = NDArray[np.bool_]

_MIN_PROBABILITY = 1e-6
"""Lower bound before the logarithm, so that one modality alone cannot rule a category out."""


@dataclass(frozen=True, slots=True)
class FusionTerms:
    """Weights and bias `[classes]` of products with the same modalities; 0 for an absent one."""

    text: Floats
    image: Floats
    bias: Floats


@dataclass(frozen=True)
class FusionModel:
    """Weights and biases `[classes]` for both modalities, text alone and image alone."""

    TYPE: ClassVar[str] = "log-linear"

    text_weight: Floats
    image_weight: Floats
    bias: Floats
    text_only_weight: Floats
    text_only_bias: Floats
    image_only_weight: Floats
    image_only_bias: Floats
    codes: Codes
    uniform_mixture: Floats = field(default_factory=lambda: np.zeros(3, np.float32))
    """Weight of the uniform distribution with both modalities, text alone and image alone; in [0, 1)."""
    thresholds: Floats | None = None
    """Confidence above which a prediction of a category is accepted `[classes]`; None for `DEFAULT_THRESHOLD`."""
    target_precision: float | None = None
    """Share of the accepted predictions that the thresholds were chosen for; None without thresholds."""
    ancestors: Ancestors | None = None
    """Categories at which a prediction that needs review is answered; None without a tree or in earlier releases."""

    def combine(self, text: Floats, image: Floats, has_text: Flags, has_image: Flags) -> Floats:
        """Return fused probabilities `[n, classes]`.

        Args:
            text: Probabilities `[n, classes]`; rows without text are ignored, NaN included.
            image: Probabilities `[n, classes]`; rows without a photo are ignored, NaN included.
            has_text: Whether a product has text `[n]`.
            has_image: Whether a product has a photo `[n]`.

        Raises:
            ValueError: If a product has neither.
        """
        if neither := np.flatnonzero(~(has_text | has_image)).tolist():
            raise ValueError(f"products {neither[:5]} have neither text nor image")
        result = np.empty(text.shape, np.float32)
        for rows, logits, mixture in (
            (has_text & has_image, self._both, self.uniform_mixture[0]),
            (has_text & ~has_image, self._text_only, self.uniform_mixture[1]),
            (has_image & ~has_text, self._image_only, self.uniform_mixture[2]),
        ):
            count = np.count_nonzero(rows)
            if count == len(rows):  # the common case; skipping the row copies halves its time
                return mix_uniform(softmax(logits(text, image)), mixture)
            if count:
                result[rows] = mix_uniform(softmax(logits(text[rows], image[rows])), mixture)
        return result

    def combine_top(
        self, text: TopProbabilities, image: TopProbabilities, has_text: Flags, has_image: Flags
    ) -> TopProbabilities:
        """Return the largest fused probabilities, in memory that does not grow with products x categories."""
        if text.complete:
            return TopProbabilities.of(self.combine(text.kept, image.kept, has_text, has_image))
        parts = [
            TopProbabilities.of(self.combine(text[at].dense(), image[at].dense(), has_text[at], has_image[at]))
            for at in batches(len(has_text))
        ]
        return TopProbabilities.concatenate(parts, text.classes)

    def accepts(self, fused: Floats) -> Flags:
        """Return which predictions `[n]` of fused probabilities `[n, classes]` need no review."""
        return self.accepts_predicted(fused.argmax(axis=1), fused.max(axis=1))

    def accepts_predicted(self, predicted: NDArray[np.integer], confidence: Floats) -> Flags:
        """Return which of the predicted categories `[n]` with these probabilities `[n]` need no review."""
        thresholds = DEFAULT_THRESHOLD if self.thresholds is None else self.thresholds[predicted]
        accepted: Flags = confidence > thresholds
        return accepted

    def answers_above(self, fused: Floats) -> list[AncestorAnswer | None]:
        """Return the deepest certain category above each prediction of `[n, classes]` that needs review."""
        if self.ancestors is None:
            return [None] * len(fused)
        predicted = fused.argmax(axis=1).tolist()
        return [
            None if accepted else self.ancestors.answer(row, column)
            for row, column, accepted in zip(fused, predicted, self.accepts(fused).tolist(), strict=True)
        ]

    def terms(self, *, has_text: bool, has_image: bool) -> FusionTerms:
        """Return the weights and the bias for products with these modalities; raise ValueError for none."""
        none = np.zeros(len(self.codes), np.float32)
        if has_text and has_image:
            return FusionTerms(self.text_weight, self.image_weight, self.bias)
        if has_text:
            return FusionTerms(self.text_only_weight, none, self.text_only_bias)
        if has_image:
            return FusionTerms(none, self.image_only_weight, self.image_only_bias)
        raise ValueError("a product has neither text nor image")

    @staticmethod
    def weigh(weights: Floats, probabilities: Floats) -> Floats:
        """Return the weighted log probabilities that a modality adds to the logits."""
        return weights * _log(_largest(probabilities[None])[0])

    def save(self, folder: Path) -> None:
        """Write the file of the model into an existing folder."""
        weights = {name: getattr(self, name).astype(float).round(9).tolist() for name in _WEIGHTS}
        mixture = self.uniform_mixture.astype(float).round(9).tolist()
        values = {"type": self.TYPE, "codes": all_to_stored(self.codes), **weights, "doubts": mixture}
        if self.thresholds is not None:
            values["thresholds"] = self.thresholds.astype(float).round(9).tolist()
            values["target_precision"] = self.target_precision
        if self.ancestors is not None:
            values["ancestors"] = self.ancestors.to_json()
        write_json(folder / "model.json", values)

    @classmethod
    def load(cls, folder: Path) -> "FusionModel":
        """Load a model.

        Raises:
            BundleRefused: If the file is not a fusion model.
        """
        settings = read_json(folder / "model.json")
        if settings.get("type") != cls.TYPE:
            raise BundleRefused(f"model.json: type is {settings.get('type')!r}, not {cls.TYPE!r}")
        codes = read_codes(settings, "model.json")
        mixture = _read_floats({"doubts": [0.0] * 3} | settings, "doubts", 3)  # the first releases lack the key
        if mixture.min() < 0 or mixture.max() >= 1:
            raise BundleRefused(f"model.json: doubts are not shares in [0, 1): {mixture.tolist()}")
        weights = {name: _read_floats(settings, name, len(codes)) for name in _WEIGHTS}
        thresholds, target_precision = _read_thresholds(settings, len(codes))
        return cls(
            **weights,
            codes=codes,
            uniform_mixture=mixture,
            thresholds=thresholds,
            target_precision=target_precision,
            ancestors=Ancestors.from_json(settings["ancestors"], codes) if "ancestors" in settings else None,
        )

    def _both(self, text: Floats, image: Floats) -> Floats:
        text, image = _largest(text), _largest(image)
        logits = self.text_weight * _log(text) + self.image_weight * _log(image) + self.bias
        return _of_candidates(logits, text, image)

    def _text_only(self, text: Floats, _: Floats) -> Floats:
        text = _largest(text)
        return _of_candidates(self.text_only_weight * _log(text) + self.text_only_bias, text)

    def _image_only(self, _: Floats, image: Floats) -> Floats:
        image = _largest(image)
        return _of_candidates(self.image_only_weight * _log(image) + self.image_only_bias, image)


_WEIGHTS = tuple(one.name for one in fields(FusionModel) if one.name.endswith(("weight", "bias")))


def candidate_columns(*modalities: Floats) -> Columns:
    """Return the columns `[n, k]` of the `CANDIDATES` categories that one modality finds probable."""
    return top_columns(np.maximum.reduce(modalities))


def _largest(probabilities: Floats) -> Floats:
    """Return probabilities `[n, classes]` with 0 for all but the `CANDIDATES` largest of each row.

    The model is fitted on these, and predictors send no others, so that any path to the fusion has the same result.
    """
    return TopProbabilities.of(probabilities).dense()


def _of_candidates(logits: Floats, *modalities: Floats) -> Floats:
    """Return logits `[n, classes]`, -inf for categories that are not among the candidates.

    So many improbable categories, each with the bounded probability of one, would else outweigh the probable ones.
    """
    if logits.shape[1] <= CANDIDATES:
        return logits
    columns, kept = candidate_columns(*modalities), np.full(logits.shape, -np.inf, np.float32)
    np.put_along_axis(kept, columns, np.take_along_axis(logits, columns, axis=1), axis=1)
    return kept


def mix_uniform(probabilities: Floats, weight: np.float32, classes: int | None = None) -> Floats:
    """Mix probabilities `[n, k]` with a uniform distribution over `classes`, by default k."""
    mixed: Floats = (1 - weight) * probabilities + weight / (classes or probabilities.shape[1])
    return mixed


def log_probabilities(probabilities: Floats, present: Flags) -> Floats:
    """Return log probabilities `[n, classes]`, bounded below; rows that are not present are uniform."""
    return _log(np.where(present[:, None], probabilities, 1.0 / probabilities.shape[1]))


def _log(probabilities: Floats) -> Floats:
    return np.log(np.maximum(probabilities, _MIN_PROBABILITY)).astype(np.float32)


def _read_thresholds(settings: dict[str, Any], classes: int) -> tuple[Floats | None, float | None]:
    """Return thresholds and target precision; None each for a release from before there were thresholds."""
    if "thresholds" not in settings:
        return None, None
    thresholds = _read_floats(settings, "thresholds", classes)
    if thresholds.min() < 0 or thresholds.max() > NEVER_ACCEPTED:
        raise BundleRefused(f"model.json: thresholds are not in [0, 1]: {thresholds.tolist()!r:.120}")
    target_precision = settings.get("target_precision")
    if not isinstance(target_precision, float | int) or not 0 < target_precision < 1:
        raise BundleRefused(f"model.json: target_precision is {target_precision!r:.40}, not between 0 and 1")
    return thresholds, float(target_precision)


def _read_floats(settings: dict[str, Any], name: str, length: int) -> Floats:
    try:
        values = np.asarray(settings[name], np.float32)
    except (KeyError, TypeError, ValueError) as error:
        raise BundleRefused(f"model.json: {name} is missing or not a list of numbers") from error
    if values.shape != (length,) or not np.isfinite(values).all():
        raise BundleRefused(f"model.json: {name} is not {length} finite numbers")
    return values
