"""Fit calibration parameters by maximum a posteriori on held-out labels."""

import numpy as np
from numpy.typing import NDArray
from scipy.optimize import minimize

from product_classifier.probabilities import MIN_MARGIN

AnyFloats = NDArray[np.floating]
_GOLDEN = (5**0.5 - 1) / 2
_MARGIN_PRIOR, _MARGIN_PRIOR_SD = np.array([2.2, 5.0]), np.array([0.3, 3.0])
"""Normal prior of log factor and offset of the margins of a text model: mean and standard deviation."""
_MIXTURE_PRIOR, _MIXTURE_PRIOR_SD = np.array([0.0, -2.5]), np.array([0.5, 1.5])
"""Normal prior of log factor and log-odds of the uniform mixture of fused logits: mean and standard deviation."""
_MAX_UNIFORM_MIXTURE = 0.3


def fit_logit_scale(
    logits: AnyFloats, labels: NDArray[np.integer], lowest: float = 0.05, highest: float = 50.0
) -> float:
    """Return the factor on `logits` `[n, classes]` that maximizes the likelihood of `labels` `[n]`.

    The factor is 1 without labels. It is the inverse of the temperature of Guo et al. 2017, "On Calibration of Modern
    Neural Networks". The loss is convex in the factor, so golden-section search finds the optimum.
    """
    if not len(labels):
        return 1.0
    low, high = np.log(lowest), np.log(highest)
    for _ in range(40):
        left, right = high - _GOLDEN * (high - low), low + _GOLDEN * (high - low)
        if log_loss(np.exp(left) * logits, labels) <= log_loss(np.exp(right) * logits, labels):
            high = right
        else:
            low = left
    return float(np.exp((low + high) / 2))


def fit_margin_calibration(margins: AnyFloats, labels: NDArray[np.integer]) -> tuple[float, float]:
    """Return factor and offset of `margins` `[n, classes]` whose `softplus_logits` fit `labels` `[n]`.

    Maximum a posteriori: with few labels both parameters stay near the values typical for titles and descriptions.
    Without labels the prior means are returned.
    """
    if not len(labels):
        return float(np.exp(_MARGIN_PRIOR[0])), float(_MARGIN_PRIOR[1])
    values = margins.astype(np.float64)
    truth = np.eye(values.shape[1])[labels]

    def loss(point: NDArray[np.float64]) -> tuple[float, NDArray[np.float64]]:
        factor, offset = np.exp(point[0]), point[1]
        moved = np.maximum(factor * values + offset, MIN_MARGIN)
        softplus = np.logaddexp(0, moved)
        error = softplus / softplus.sum(axis=1, keepdims=True) - truth
        slopes = error * np.exp(moved - softplus) / softplus  # chain rule: the derivative of softplus is the sigmoid
        deviation = (point - _MARGIN_PRIOR) / _MARGIN_PRIOR_SD
        gradient = np.array([(slopes * values).sum() * factor, slopes.sum()]) + deviation / _MARGIN_PRIOR_SD
        return len(labels) * log_loss(np.log(softplus), labels) + float(deviation @ deviation) / 2, gradient

    fitted = minimize(loss, _MARGIN_PRIOR, jac=True, method="L-BFGS-B", options={"ftol": 1e-14, "gtol": 1e-9}).x
    return float(np.exp(fitted[0])), float(fitted[1])


def fit_uniform_mixture(
    logits: AnyFloats, labels: NDArray[np.integer], classes: int | None = None
) -> tuple[float, float]:
    """Return the factor on `logits` `[n, classes]`, and the weight of a uniform distribution mixed in.

    `classes` is the number of categories of that distribution where the logits are those of some only.

    The mixture models label noise that does not depend on the product. Without it the factor would flatten all
    predictions to lower the cost of a few confident errors. Maximum a posteriori, as `fit_margin_calibration`;
    (1, 0) without labels.
    """
    if not len(labels):
        return 1.0, 0.0
    values, rows = logits.astype(np.float64), np.arange(len(labels))

    def loss(point: NDArray[np.float64]) -> float:
        factor, uniform_mixture = np.exp(point[0]), _mixture_of(point[1])
        raised = np.exp(factor * (values - values.max(axis=1, keepdims=True)))
        likelihood = (1 - uniform_mixture) * raised[rows, labels] / raised.sum(axis=1)
        likelihood += uniform_mixture / (classes or values.shape[1])
        deviation = (point - _MIXTURE_PRIOR) / _MIXTURE_PRIOR_SD
        return float(deviation @ deviation) / 2 - float(np.log(likelihood).sum())

    fitted = minimize(loss, _MIXTURE_PRIOR, method="L-BFGS-B", bounds=((-3, 3), (-12, 12))).x
    return float(np.exp(fitted[0])), _mixture_of(fitted[1])


def log_loss(logits: AnyFloats, labels: NDArray[np.integer]) -> float:
    """Return the mean negative log-likelihood of `labels` `[n]` under `logits` `[n, classes]`."""
    return float(log_losses(logits, labels).mean())


def log_losses(logits: AnyFloats, labels: NDArray[np.integer]) -> AnyFloats:
    """Return the negative log-likelihood of each label `[n]` under `logits` `[n, classes]`."""
    raised = logits - logits.max(axis=1, keepdims=True)
    losses: AnyFloats = np.log(np.exp(raised).sum(axis=1)) - raised[np.arange(len(labels)), labels]
    return losses


def class_prior(labels: NDArray[np.integer], classes: int, smoothing: float = 0.5) -> NDArray[np.float32]:
    """Return class frequencies `[classes]` with additive smoothing, so that none is 0."""
    counts = np.bincount(labels, minlength=classes) + smoothing
    prior: NDArray[np.float32] = (counts / counts.sum()).astype(np.float32)
    return prior


def _mixture_of(log_odds: float) -> float:
    return float(_MAX_UNIFORM_MIXTURE / (1 + np.exp(-log_odds)))
