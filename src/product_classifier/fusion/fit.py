"""Fit the fusion model on out-of-fold predictions of text and image."""

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray
from scipy.optimize import minimize
from threadpoolctl import threadpool_limits

from product_classifier.fusion.calibration import fit_uniform_mixture, log_losses
from product_classifier.fusion.model import (
    Flags,
    FusionModel,
    candidate_columns,
    log_probabilities,
    mix_uniform,
)
from product_classifier.probabilities import Floats, softmax
from product_classifier.taxonomy import Codes
from product_classifier.top_probabilities import (
    CANDIDATES,
    Columns,
    TopProbabilities,
    all_columns,
    batches,
    label_positions,
)

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
    """The fitted model, and the probabilities of models not fitted on the product's fold."""

    model: FusionModel
    out_of_fold: TopProbabilities


@dataclass(frozen=True)
class _Evidence:
    """Log probabilities `[modalities, n, k]` of all categories, or of the candidates of each product."""

    logs: NDArray[np.float64]
    classes: int
    columns: Columns | None = None
    """Positions of the candidates `[n, k]`; None if the log probabilities are those of all categories."""

    def __len__(self) -> int:
        return len(self.logs)

    def take(self, rows: NDArray[np.bool_]) -> "_Evidence":
        """Return the evidence of some products."""
        return _Evidence(self.logs[:, rows], self.classes, None if self.columns is None else self.columns[rows])

    def alone(self, modality: int) -> "_Evidence":
        """Return the evidence of one modality."""
        return _Evidence(self.logs[modality : modality + 1], self.classes, self.columns)

    def slopes(self, error: NDArray[np.float64]) -> NDArray[np.float64]:
        """Return the gradient `[modalities, classes]` of the weights for errors `[n, k]`."""
        if self.columns is None:
            found: NDArray[np.float64] = np.einsum("mnc,nc->mc", self.logs, error)
            return found
        return np.stack([self.sums(one * error) for one in self.logs])

    def sums(self, values: NDArray[np.float64]) -> NDArray[np.float64]:
        """Return the sums by category `[classes]` of values `[n, k]`."""
        if self.columns is None:
            found: NDArray[np.float64] = values.sum(axis=0)
        else:
            found = np.bincount(self.columns.ravel(), values.ravel(), self.classes).astype(np.float64)
        return found


@dataclass(frozen=True)
class _Weights:
    """A weight per modality and category `[modalities, classes]`, a bias `[classes]`, and the uniform mixture."""

    slopes: NDArray[np.float64]
    bias: NDArray[np.float64]
    uniform_mixture: float = 0.0

    def logits(self, evidence: _Evidence) -> NDArray[np.float64]:
        """Return logits `[n, k]`."""
        if evidence.columns is None:
            combined: NDArray[np.float64] = np.einsum("mnc,mc->nc", evidence.logs, self.slopes) + self.bias
            return combined
        found: NDArray[np.float64] = (evidence.logs * self.slopes[:, evidence.columns]).sum(axis=0)
        return found + self.bias[evidence.columns]


@dataclass(frozen=True)
class _Candidate:
    """Weights fitted on all products, and logits `[n, classes]` by weights not fitted on the product's fold."""

    weights: _Weights
    out_of_fold: NDArray[np.float64]


def fit_fusion(
    text: TopProbabilities,
    image: TopProbabilities,
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

    Of many categories, those that are improbable by both modalities are left out for each product.

    Args:
        text: Out-of-fold probabilities of the text model.
        image: Out-of-fold probabilities of the image model.
        has_text: Whether a product has text `[n]`.
        has_image: Whether a product has a photo `[n]`.
        labels: Positions `[n]` of the true categories in `codes`.
        folds: Fold of each product `[n]`.
        codes: Category codes in the order of the probabilities.
    """
    with threadpool_limits(1, "blas"):  # the matrices of L-BFGS are small: threads would multiply its time
        return _fit_all(text, image, has_text, has_image, labels, folds, codes)


def _fit_all(
    text: TopProbabilities,
    image: TopProbabilities,
    has_text: Flags,
    has_image: Flags,
    labels: Labels,
    folds: Folds,
    codes: Codes,
) -> FusionFit:
    both_rows = has_text & has_image
    out_of_fold = TopProbabilities.uniform(len(labels), len(codes))
    fitted = {}
    for name, modalities, rows, predicted in (
        ("both", (text, image), both_rows, both_rows),
        ("text", (text,), has_text, has_text & ~has_image),
        ("image", (image,), has_image, has_image & ~has_text),
    ):
        evidence, positions = _evidence([one[rows] for one in modalities], labels[rows])
        fitted[name], probabilities = _fit_case(evidence, positions, folds[rows])
        columns = all_columns(*probabilities.shape) if evidence.columns is None else evidence.columns
        kept = predicted[rows]
        out_of_fold.put(predicted, TopProbabilities(columns[kept], probabilities[kept], len(codes)))
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


def _evidence(modalities: Sequence[TopProbabilities], labels: Labels) -> tuple[_Evidence, Labels]:
    """Return the log probabilities, and the positions `[n]` of the labels among their categories.

    Among the candidates of a product, the least probable is replaced by the label if that is missing.
    """
    classes = modalities[0].classes
    if modalities[0].complete:
        present = np.ones(len(labels), np.bool_)
        return _Evidence(
            np.stack([log_probabilities(one.kept, present) for one in modalities]).astype(float), classes
        ), labels
    columns = np.zeros((len(labels), CANDIDATES), np.int32)
    logs = np.zeros((len(modalities), *columns.shape))
    for rows in batches(len(labels)):
        dense = [one[rows].dense() for one in modalities]
        found = candidate_columns(*dense)
        missing = label_positions(found, labels[rows]) < 0
        found[missing, -1] = labels[rows][missing]
        columns[rows] = found
        for modality, probabilities in enumerate(dense):
            kept = np.take_along_axis(probabilities, found, axis=1)
            logs[modality, rows] = log_probabilities(kept, np.ones(len(kept), np.bool_))
    return _Evidence(logs, classes, columns), label_positions(columns, labels)


def _fit_case(evidence: _Evidence, labels: Labels, folds: Folds) -> tuple[_Weights, Floats]:
    """Return calibrated weights, and the out-of-fold probabilities `[n, k]` of the categories of the evidence."""
    modalities, classes = len(evidence), evidence.classes
    if len(labels) < _MIN_PRODUCTS or len(np.unique(folds)) < 2:
        unfitted = _Weights(np.ones((modalities, classes)), np.zeros(classes))
        return unfitted, softmax(unfitted.logits(evidence).astype(np.float32))
    chosen = _choose(evidence, labels, folds)
    factor, mixture = fit_uniform_mixture(chosen.out_of_fold, labels, classes)
    weights = _Weights(chosen.weights.slopes * factor, chosen.weights.bias * factor, mixture)
    calibrated = softmax((chosen.out_of_fold * factor).astype(np.float32))
    return weights, mix_uniform(calibrated, np.float32(mixture), classes)


def _choose(evidence: _Evidence, labels: Labels, folds: Folds) -> _Candidate:
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


def _cross_validate(evidence: _Evidence, labels: Labels, folds: Folds, only: int | None = None) -> _Candidate:
    """Fit all modalities with the L2 strength of the lowest cross-validated log loss, or one with the largest."""
    used = evidence if only is None else evidence.alone(only)
    strengths = _L2_STRENGTHS if only is None else _L2_STRENGTHS[:1]
    sampled = _sample(folds)
    out_of_fold = {strength: np.zeros(evidence.logs.shape[1:]) for strength in strengths}
    for fold in np.unique(folds):
        held, start = folds == fold, None
        fitted_on = sampled & ~held
        for strength in strengths:  # each fit starts from that of the strength before, which is near
            start = _fit(used.take(fitted_on), labels[fitted_on], strength, start)
            out_of_fold[strength][held] = _weights_of(start, len(used)).logits(used.take(held))
    best = min(strengths, key=lambda strength: float(log_losses(out_of_fold[strength], labels).mean()))
    weights = _weights_of(_fit(used.take(sampled), labels[sampled], best), len(used))
    slopes = weights.slopes if only is None else np.zeros((len(evidence), evidence.classes))
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
    evidence: _Evidence, labels: Labels, l2_strength: float, start: NDArray[np.float64] | None = None
) -> NDArray[np.float64]:
    """Minimize log loss plus L2 penalties on the deviations of each category from the weight of its modality.

    Return the shared weights `[modalities]`, the deviations `[modalities, classes]` and the biases `[classes]` as one
    vector.
    """
    modalities, count, kept = evidence.logs.shape
    classes = evidence.classes
    truth = np.zeros((count, kept))
    truth[np.arange(count), labels] = 1

    def loss(point: NDArray[np.float64]) -> tuple[float, NDArray[np.float64]]:
        shared, deviations, bias = _unpack(point, modalities)
        logits = _Weights(shared[:, None] + deviations, bias).logits(evidence)
        raised = np.exp(logits - logits.max(axis=1, keepdims=True))
        probabilities = raised / raised.sum(axis=1, keepdims=True)
        error = probabilities - truth  # [n, k]
        slopes = evidence.slopes(error)
        penalty = l2_strength * (np.sum(deviations**2) + np.sum(bias**2) / 4) + np.sum((shared - 1) ** 2)
        gradient = (
            slopes.sum(axis=1) + 2 * (shared - 1),
            slopes + 2 * l2_strength * deviations,
            evidence.sums(error) + l2_strength * bias / 2,
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
