"""Fit the fusion model on held-out opinions, so that it is never worse than the better of the two."""

from collections.abc import Iterator
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray
from scipy.optimize import minimize

from product_classifier.evaluation.metrics import weighted_f1
from product_classifier.fusion.calibration import fit_uniform_mixture, log_loss
from product_classifier.fusion.model import Flags, Floats, FusionModel, log_probabilities
from product_classifier.taxonomy import CODES

Labels = NDArray[np.int64]

_STRENGTHS = (3.0, 10.0, 30.0, 100.0, 1000.0)
"""How firmly the categories' own weights are held to the common one; the last leaves them no life of their own."""
_FOLDS = 5
_FEWEST = 20
"""Below this many products nothing is fitted: two trusted opinions multiply, one passes through."""


@dataclass(frozen=True)
class _Weights:
    """A weight per modality and category `[modalities, classes]`, a bias `[classes]`, and the doubt."""

    slopes: NDArray[np.float64]
    bias: NDArray[np.float64]
    doubt: float = 0.0

    def logits(self, evidence: NDArray[np.float64]) -> NDArray[np.float64]:
        """Combine log probabilities `[modalities, n, classes]`."""
        combined: NDArray[np.float64] = np.einsum("mnc,mc->nc", evidence, self.slopes) + self.bias
        return combined


def fit_fusion(text: Floats, image: Floats, has_text: Flags, has_image: Flags, labels: Labels) -> FusionModel:
    """Fit on opinions `[n, classes]` about held-out products and their label positions `[n]`."""
    words, photos = log_probabilities(text, has_text), log_probabilities(image, has_image)
    both = has_text & has_image
    joint = _fit_safely(np.stack([words[both], photos[both]]), labels[both])
    spoken = _fit_safely(words[None, has_text], labels[has_text])
    shown = _fit_safely(photos[None, has_image], labels[has_image])
    parts = (*joint.slopes, joint.bias, spoken.slopes[0], spoken.bias, shown.slopes[0], shown.bias)
    doubts = np.array([joint.doubt, spoken.doubt, shown.doubt])
    return FusionModel(*(part.astype(np.float32) for part in (*parts, doubts)))


def _fit_safely(opinions: Floats, labels: Labels) -> _Weights:
    """Fit, and take the best single modality as it is where that has the higher weighted F1."""
    evidence: NDArray[np.float64] = opinions.astype(np.float64)
    modalities = len(evidence)
    plain = _Weights(np.ones((modalities, len(CODES))), np.zeros(len(CODES)))
    if len(labels) < _FEWEST:
        return plain
    singles = [
        _Weights(np.outer(np.arange(modalities) == chosen, np.ones(len(CODES))), np.zeros(len(CODES)))
        for chosen in range(modalities)
    ]
    best_single = max(singles, key=lambda weights: weighted_f1(weights.logits(evidence), labels))
    bar = weighted_f1(best_single.logits(evidence), labels)
    strength = _choose_strength(evidence, labels)
    for price in (strength, _STRENGTHS[-1]):
        candidate = _fit(evidence, labels, price)
        if weighted_f1(candidate.logits(evidence), labels) >= bar:
            return _calibrated(candidate, *_foretold(evidence, labels, price))
    return _calibrated(best_single, best_single.logits(evidence), labels)


def _calibrated(weights: _Weights, logits: NDArray[np.float64], labels: Labels) -> _Weights:
    """Return the weights, as sharp and doubting as `logits` of theirs about `labels` ask for; the order stays."""
    factor, doubt = fit_uniform_mixture(logits, labels)
    return _Weights(weights.slopes * factor, weights.bias * factor, doubt)


def _foretold(evidence: NDArray[np.float64], labels: Labels, strength: float) -> tuple[NDArray[np.float64], Labels]:
    """Return logits of labels by weights that were not fitted on them, and those labels.

    On what they were fitted on, weights look righter than they are.
    """
    folds = list(_folds(len(labels)))
    fits = [_fit(evidence[:, ~held], labels[~held], strength).logits(evidence[:, held]) for held in folds]
    return np.concatenate(fits), np.concatenate([labels[held] for held in folds])


def _choose_strength(evidence: NDArray[np.float64], labels: Labels) -> float:
    """Return the strength that foretells labels it was not fitted on best."""

    def loss(strength: float) -> float:
        return log_loss(*_foretold(evidence, labels, strength))

    return min(_STRENGTHS, key=loss)


def _folds(count: int) -> Iterator[NDArray[np.bool_]]:
    fold_of = np.random.default_rng(27).permutation(count) % _FOLDS
    for fold in range(_FOLDS):
        yield fold_of == fold


def _fit(evidence: NDArray[np.float64], labels: Labels, strength: float) -> _Weights:
    """Find the likeliest weights: each modality has a common one, from which categories stray at a price."""
    modalities, count, classes = evidence.shape
    truth = np.zeros((count, classes))
    truth[np.arange(count), labels] = 1

    def unpack(point: NDArray[np.float64]) -> tuple[NDArray[np.float64], NDArray[np.float64], NDArray[np.float64]]:
        common, rest = point[:modalities], point[modalities:].reshape(modalities + 1, classes)
        return common, rest[:-1], rest[-1]

    def loss(point: NDArray[np.float64]) -> tuple[float, NDArray[np.float64]]:
        common, strays, bias = unpack(point)
        logits = _Weights(common[:, None] + strays, bias).logits(evidence)
        raised = np.exp(logits - logits.max(axis=1, keepdims=True))
        error = raised / raised.sum(axis=1, keepdims=True) - truth  # (n, classes)
        slopes = np.einsum("mnc,nc->mc", evidence, error)
        price = strength * (np.sum(strays**2) + np.sum(bias**2) / 4) + np.sum((common - 1) ** 2)
        gradient = (slopes.sum(axis=1) + 2 * (common - 1), slopes + 2 * strength * strays)
        last = error.sum(axis=0) + strength * bias / 2
        return count * log_loss(logits, labels) + price, np.concatenate([part.ravel() for part in (*gradient, last)])

    start = np.concatenate([np.ones(modalities), np.zeros((modalities + 1) * classes)])
    common, strays, bias = unpack(minimize(loss, start, jac=True, method="L-BFGS-B", options={"maxiter": 200}).x)
    return _Weights(common[:, None] + strays, bias)
