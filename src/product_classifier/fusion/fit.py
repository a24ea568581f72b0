"""Fit the fusion model on out-of-fold predictions of text and image."""

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray
from scipy.optimize import minimize
from threadpoolctl import threadpool_limits

from product_classifier.fusion.calibration import fit_uniform_mixture, log_losses
from product_classifier.fusion.model import Flags, FusionModel, log_probabilities, mix_uniform
from product_classifier.probabilities import Floats, softmax
from product_classifier.taxonomy import Codes

Labels = NDArray[np.int64]
Folds = NDArray[np.int64]

_L2_STRENGTHS = (1000.0, 100.0, 10.0)
"""L2 strengths toward the weight shared by all categories; the largest ties all categories together."""
_MIN_PRODUCTS = 20
"""Below this many products nothing is fitted: all weights are 1 and all biases 0 (a product of experts)."""
_MAX_PRODUCTS = 10_000
"""More products change the weights by less than their standard error; the first so many of each fold are used."""
_TOLERANCE = 1e-7
"""Relative change of the loss below which a fit ends; one of 1e-9 takes longer and changes F1 by less than 0.001."""
_SHOWN = 2.33
"""Standard errors by which a modality must hurt before its weight is 0: a one-sided test at the level of 1 %."""


@dataclass(frozen=True)
class FusionFit:
    """The fitted model, and the probabilities `[n, classes]` of models not fitted on the product's fold."""

    model: FusionModel
    out_of_fold: Floats


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


@dataclass(frozen=True)
class _Candidate:
    """Weights fitted on all products, and logits `[n, classes]` by weights not fitted on the product's fold."""

    weights: _Weights
    out_of_fold: NDArray[np.float64]


def fit_fusion(
    text: Floats,
    image: Floats,
    has_text: Flags,
    has_image: Flags,
    labels: Labels,
    folds: Folds,
    codes: Codes,
) -> FusionFit:
    """Fit weights for both modalities, text alone and image alone.

    Weights of a category deviate from the weight that all categories share as far as its products are evidence. Where
    both modalities are present neither is ignored, unless it was shown to hurt: the cross-validated log loss with it is
    higher than without by more than chance explains. Text alone and image alone are calibrated on all products that
    have them.

    Args:
        text: Out-of-fold probabilities `[n, classes]` of the text model.
        image: Out-of-fold probabilities `[n, classes]` of the image model.
        has_text: Whether a product has text `[n]`.
        has_image: Whether a product has a photo `[n]`.
        labels: Positions `[n]` of the true categories in `codes`.
        folds: Fold of each product `[n]`.
        codes: Category codes in the order of the probabilities.
    """
    with threadpool_limits(1, "blas"):  # the matrices of L-BFGS are small: threads would multiply its time
        return _fit_all(text, image, has_text, has_image, labels, folds, codes)


def _fit_all(
    text: Floats, image: Floats, has_text: Flags, has_image: Flags, labels: Labels, folds: Folds, codes: Codes
) -> FusionFit:
    text_logs, image_logs = log_probabilities(text, has_text), log_probabilities(image, has_image)
    both_rows = has_text & has_image
    out_of_fold = np.zeros(text.shape, np.float32)
    fitted = {}
    for name, evidence, rows, predicted in (
        ("both", np.stack([text_logs, image_logs]), both_rows, both_rows),
        ("text", text_logs[None], has_text, has_text & ~has_image),
        ("image", image_logs[None], has_image, has_image & ~has_text),
    ):
        fitted[name], probabilities = _fit_case(evidence[:, rows].astype(np.float64), labels[rows], folds[rows])
        out_of_fold[predicted] = probabilities[predicted[rows]]
    both, text_only, image_only = fitted["both"], fitted["text"], fitted["image"]
    mixture = np.array([one.uniform_mixture for one in (both, text_only, image_only)])
    model = FusionModel(
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
    return FusionFit(model, out_of_fold)


def _fit_case(evidence: NDArray[np.float64], labels: Labels, folds: Folds) -> tuple[_Weights, Floats]:
    """Fit log probabilities `[modalities, n, classes]`; return calibrated weights and out-of-fold probabilities."""
    modalities, _, classes = evidence.shape
    if len(labels) < _MIN_PRODUCTS or len(np.unique(folds)) < 2:
        unfitted = _Weights(np.ones((modalities, classes)), np.zeros(classes))
        return unfitted, softmax(unfitted.logits(evidence).astype(np.float32))
    chosen = _choose(evidence, labels, folds)
    factor, mixture = fit_uniform_mixture(chosen.out_of_fold, labels)
    weights = _Weights(chosen.weights.slopes * factor, chosen.weights.bias * factor, mixture)
    calibrated = softmax((chosen.out_of_fold * factor).astype(np.float32))
    return weights, mix_uniform(calibrated, np.float32(mixture))


def _choose(evidence: NDArray[np.float64], labels: Labels, folds: Folds) -> _Candidate:
    """Return the fit of all modalities, or of one alone if another was shown to hurt."""
    everything = _cross_validate(evidence, labels, folds)
    if len(evidence) == 1:
        return everything
    alternatives = [_cross_validate(evidence, labels, folds, kept) for kept in range(len(evidence))]
    losses = log_losses(everything.out_of_fold, labels)
    harm = [losses - log_losses(one.out_of_fold, labels) for one in alternatives]
    errors = [one.std(ddof=1) / np.sqrt(len(one)) for one in harm]
    best = int(np.argmax([one.mean() for one in harm]))
    return alternatives[best] if harm[best].mean() > _SHOWN * errors[best] else everything


def _cross_validate(evidence: NDArray[np.float64], labels: Labels, folds: Folds, only: int | None = None) -> _Candidate:
    """Fit all modalities with the L2 strength of the lowest cross-validated log loss, or one with the largest."""
    used = evidence if only is None else evidence[only : only + 1]
    strengths = _L2_STRENGTHS if only is None else _L2_STRENGTHS[:1]
    sampled = _sample(folds)
    out_of_fold = {strength: np.zeros(evidence.shape[1:]) for strength in strengths}
    for fold in np.unique(folds):
        held, start = folds == fold, None
        fitted_on = sampled & ~held
        for strength in strengths:  # each fit starts from that of the strength before, which is near
            start = _fit(used[:, fitted_on], labels[fitted_on], strength, start)
            out_of_fold[strength][held] = _weights_of(start, len(used)).logits(used[:, held])
    best = min(strengths, key=lambda strength: float(log_losses(out_of_fold[strength], labels).mean()))
    weights = _weights_of(_fit(used[:, sampled], labels[sampled], best), len(used))
    slopes = weights.slopes if only is None else np.zeros((len(evidence), evidence.shape[2]))
    if only is not None:
        slopes[only] = weights.slopes[0]
    return _Candidate(_Weights(slopes, weights.bias), out_of_fold[best])


def _sample(folds: Folds) -> NDArray[np.bool_]:
    """Return which products to fit on, at most `_MAX_PRODUCTS`, evenly from all folds and positions."""
    step = -(-len(folds) // _MAX_PRODUCTS)
    ranks = np.zeros(len(folds), np.int64)
    for fold in np.unique(folds):
        rows = folds == fold
        ranks[rows] = np.arange(np.count_nonzero(rows))
    kept: NDArray[np.bool_] = ranks % step == 0
    return kept


def _fit(
    evidence: NDArray[np.float64], labels: Labels, l2_strength: float, start: NDArray[np.float64] | None = None
) -> NDArray[np.float64]:
    """Minimize log loss plus L2 penalties on the deviations of each category from the weight of its modality.

    Return the shared weights `[modalities]`, the deviations `[modalities, classes]` and the biases `[classes]` as one
    vector.
    """
    modalities, count, classes = evidence.shape
    truth = np.zeros((count, classes))
    truth[np.arange(count), labels] = 1

    def loss(point: NDArray[np.float64]) -> tuple[float, NDArray[np.float64]]:
        shared, deviations, bias = _unpack(point, modalities)
        logits = _Weights(shared[:, None] + deviations, bias).logits(evidence)
        raised = np.exp(logits - logits.max(axis=1, keepdims=True))
        probabilities = raised / raised.sum(axis=1, keepdims=True)
        error = probabilities - truth  # [n, classes]
        slopes = np.einsum("mnc,nc->mc", evidence, error)
        penalty = l2_strength * (np.sum(deviations**2) + np.sum(bias**2) / 4) + np.sum((shared - 1) ** 2)
        gradient = (
            slopes.sum(axis=1) + 2 * (shared - 1),
            slopes + 2 * l2_strength * deviations,
            error.sum(axis=0) + l2_strength * bias / 2,
        )
        likelihood = np.maximum(probabilities[np.arange(count), labels], np.finfo(np.float64).tiny)
        return float(penalty - np.log(likelihood).sum()), np.concatenate([part.ravel() for part in gradient])

    if start is None:
        start = np.concatenate([np.ones(modalities), np.zeros((modalities + 1) * classes)])
    fitted: NDArray[np.float64] = minimize(
        loss, start, jac=True, method="L-BFGS-B", options={"maxiter": 200, "ftol": _TOLERANCE}
    ).x
    return fitted


def _weights_of(point: NDArray[np.float64], modalities: int) -> _Weights:
    shared, deviations, bias = _unpack(point, modalities)
    return _Weights(shared[:, None] + deviations, bias)


def _unpack(
    point: NDArray[np.float64], modalities: int
) -> tuple[NDArray[np.float64], NDArray[np.float64], NDArray[np.float64]]:
    shared, rest = point[:modalities], point[modalities:].reshape(modalities + 1, -1)
    return shared, rest[:-1], rest[-1]
