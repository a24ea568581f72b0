"""Fit the fusion model on predictions for held-out products."""

from collections.abc import Iterator
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray
from scipy.optimize import minimize

from product_classifier.evaluation.scores import weighted_f1
from product_classifier.fusion.calibration import fit_uniform_mixture, log_loss
from product_classifier.fusion.model import Flags, FusionModel, log_probabilities
from product_classifier.probabilities import Floats
from product_classifier.taxonomy import Codes

Labels = NDArray[np.int64]

_L2_STRENGTHS = (3.0, 10.0, 30.0, 100.0, 1000.0)
"""L2 strengths toward the weight shared by all categories; the largest ties all categories together."""
_FOLDS = 5
_MIN_PRODUCTS = 20
"""Below this many products nothing is fitted: all weights are 1 and all biases 0 (a product of experts)."""


@dataclass(frozen=True)
class _Weights:
    """A weight per modality and category `[modalities, classes]`, a bias `[classes]`, and the uniform mixture."""

    slopes: NDArray[np.float64]
    bias: NDArray[np.float64]
    uniform_mixture: float = 0.0

    def logits(self, evidence: NDArray[np.float64]) -> NDArray[np.float64]:
        """Combine log probabilities `[modalities, n, classes]` into logits `[n, classes]`."""
        combined: NDArray[np.float64] = np.einsum("mnc,mc->nc", evidence, self.slopes) + self.bias
        return combined


def fit_fusion(
    text: Floats, image: Floats, has_text: Flags, has_image: Flags, labels: Labels, codes: Codes
) -> FusionModel:
    """Fit weights for both modalities, text alone and image alone.

    In each case the weighted F1 on the given products is at least that of the better single model.

    Args:
        text: Text probabilities `[n, classes]` of products the text model was not trained on.
        image: Image probabilities `[n, classes]` of products the image model was not trained on.
        has_text: Whether a product has text `[n]`.
        has_image: Whether a product has a photo `[n]`.
        labels: Positions `[n]` of the true categories in `codes`.
        codes: Category codes in the order of the probabilities.
    """
    text_logs, image_logs = log_probabilities(text, has_text), log_probabilities(image, has_image)
    both_rows = has_text & has_image
    both = _fit_safely(np.stack([text_logs[both_rows], image_logs[both_rows]]), labels[both_rows])
    text_only = _fit_safely(text_logs[None, has_text], labels[has_text])
    image_only = _fit_safely(image_logs[None, has_image], labels[has_image])
    mixture = np.array([both.uniform_mixture, text_only.uniform_mixture, image_only.uniform_mixture])
    return FusionModel(
        text_weight=both.slopes[0].astype(np.float32),
        image_weight=both.slopes[1].astype(np.float32),
        bias=both.bias.astype(np.float32),
        text_only_weight=text_only.slopes[0].astype(np.float32),
        text_only_bias=text_only.bias.astype(np.float32),
        image_only_weight=image_only.slopes[0].astype(np.float32),
        image_only_bias=image_only.bias.astype(np.float32),
        codes=codes,
        uniform_mixture=mixture.astype(np.float32),
    )


def _fit_safely(evidence: Floats, labels: Labels) -> _Weights:
    """Fit `[modalities, n, classes]`; return the better single modality if fitting does not reach its weighted F1."""
    values: NDArray[np.float64] = evidence.astype(np.float64)
    modalities, _, classes = values.shape
    if len(labels) < _MIN_PRODUCTS:
        return _Weights(np.ones((modalities, classes)), np.zeros(classes))
    singles = [
        _Weights(np.outer(np.arange(modalities) == chosen, np.ones(classes)), np.zeros(classes))
        for chosen in range(modalities)
    ]
    best_single = max(singles, key=lambda weights: weighted_f1(weights.logits(values), labels))
    required_f1 = weighted_f1(best_single.logits(values), labels)
    for l2_strength in (_choose_l2_strength(values, labels), _L2_STRENGTHS[-1]):
        candidate = _fit(values, labels, l2_strength)
        if weighted_f1(candidate.logits(values), labels) >= required_f1:
            return _calibrate(candidate, *_out_of_fold(values, labels, l2_strength))
    return _calibrate(best_single, best_single.logits(values), labels)


def _calibrate(weights: _Weights, logits: NDArray[np.float64], labels: Labels) -> _Weights:
    """Return the weights with the scale and uniform mixture that fit `logits` and `labels`; the ranking is the same."""
    factor, uniform_mixture = fit_uniform_mixture(logits, labels)
    return _Weights(weights.slopes * factor, weights.bias * factor, uniform_mixture)


def _out_of_fold(
    evidence: NDArray[np.float64], labels: Labels, l2_strength: float
) -> tuple[NDArray[np.float64], Labels]:
    """Return cross-validated logits, each by weights not fitted on its product, and the labels in the same order."""
    folds = list(_folds(len(labels)))
    fits = [_fit(evidence[:, ~held], labels[~held], l2_strength).logits(evidence[:, held]) for held in folds]
    return np.concatenate(fits), np.concatenate([labels[held] for held in folds])


def _choose_l2_strength(evidence: NDArray[np.float64], labels: Labels) -> float:
    """Return the L2 strength with the lowest cross-validated log loss."""

    def loss(l2_strength: float) -> float:
        return log_loss(*_out_of_fold(evidence, labels, l2_strength))

    return min(_L2_STRENGTHS, key=loss)


def _folds(count: int) -> Iterator[NDArray[np.bool_]]:
    fold_of = np.random.default_rng(27).permutation(count) % _FOLDS
    for fold in range(_FOLDS):
        yield fold_of == fold


def _fit(evidence: NDArray[np.float64], labels: Labels, l2_strength: float) -> _Weights:
    """Minimize log loss plus L2 penalties on the deviations of each category from the weight of its modality."""
    modalities, count, classes = evidence.shape
    truth = np.zeros((count, classes))
    truth[np.arange(count), labels] = 1

    def unpack(point: NDArray[np.float64]) -> tuple[NDArray[np.float64], NDArray[np.float64], NDArray[np.float64]]:
        shared, rest = point[:modalities], point[modalities:].reshape(modalities + 1, classes)
        return shared, rest[:-1], rest[-1]

    def loss(point: NDArray[np.float64]) -> tuple[float, NDArray[np.float64]]:
        shared, deviations, bias = unpack(point)
        logits = _Weights(shared[:, None] + deviations, bias).logits(evidence)
        raised = np.exp(logits - logits.max(axis=1, keepdims=True))
        error = raised / raised.sum(axis=1, keepdims=True) - truth  # [n, classes]
        slopes = np.einsum("mnc,nc->mc", evidence, error)
        penalty = l2_strength * (np.sum(deviations**2) + np.sum(bias**2) / 4) + np.sum((shared - 1) ** 2)
        gradient = (
            slopes.sum(axis=1) + 2 * (shared - 1),
            slopes + 2 * l2_strength * deviations,
            error.sum(axis=0) + l2_strength * bias / 2,
        )
        return count * log_loss(logits, labels) + penalty, np.concatenate([part.ravel() for part in gradient])

    start = np.concatenate([np.ones(modalities), np.zeros((modalities + 1) * classes)])
    shared, deviations, bias = unpack(minimize(loss, start, jac=True, method="L-BFGS-B", options={"maxiter": 200}).x)
    return _Weights(shared[:, None] + deviations, bias)
