"""Make confidence believable: sharpen or softplus_logits logits until held-out labels are as likely as can be."""

import numpy as np
from numpy.typing import NDArray
from scipy.optimize import minimize

from product_classifier.text.model import LEAST

Floats = NDArray[np.floating]
_GOLDEN = (5**0.5 - 1) / 2
_USUAL, _SPREAD = np.array([2.2, 5.0]), np.array([0.3, 3.0])
"""Logarithm of the factor, and the offset, that margins of a text model usually want, and how far they differ."""
_USUAL_DOUBT, _SPREAD_OF_DOUBT = np.array([0.0, -2.5]), np.array([0.5, 1.5])
"""The same for the factor and the doubt that fused opinions want; the doubt as a logistic share of the most."""
_MOST_DOUBT = 0.3


def fit_logit_scale(logits: Floats, labels: NDArray[np.integer], lowest: float = 0.05, highest: float = 50.0) -> float:
    """Return the factor on `logits` `[n, classes]` that makes the held-out `labels` `[n]` likeliest; 1 without any.

    The loss is convex in the factor, so a golden-section search finds it.
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


def fit_margin_calibration(margins: Floats, labels: NDArray[np.integer]) -> tuple[float, float]:
    """Return factor and offset after which `softplus_logits` makes the held-out `labels` `[n]` of `margins` likeliest.

    Few labels are not believed entirely: both numbers are held near what real titles and descriptions want.
    """
    if not len(labels):
        return float(np.exp(_USUAL[0])), float(_USUAL[1])
    values = margins.astype(np.float64)
    truth = np.eye(values.shape[1])[labels]

    def loss(point: NDArray[np.float64]) -> tuple[float, NDArray[np.float64]]:
        factor, offset = np.exp(point[0]), point[1]
        moved = np.maximum(factor * values + offset, LEAST)
        softplus = np.logaddexp(0, moved)
        error = softplus / softplus.sum(axis=1, keepdims=True) - truth
        pull = error * np.exp(moved - softplus) / softplus  # by the chain rule: the softplus' slope is the sigmoid
        astray = (point - _USUAL) / _SPREAD
        slope = np.array([(pull * values).sum() * factor, pull.sum()]) + astray / _SPREAD
        return len(labels) * log_loss(np.log(softplus), labels) + float(astray @ astray) / 2, slope

    found = minimize(loss, _USUAL, jac=True, method="L-BFGS-B", options={"ftol": 1e-14, "gtol": 1e-9}).x
    return float(np.exp(found[0])), float(found[1])


def fit_uniform_mixture(logits: Floats, labels: NDArray[np.integer]) -> tuple[float, float]:
    """Return the factor on `logits` `[n, classes]`, and the share that then goes to all classes alike.

    Some labels are wrong whatever a product looks like. Without that share the factor would have to flatten all answers
    so that the few confident misses cost less. As in `fit_margin_calibration`, few labels are not believed entirely.
    """
    if not len(labels):
        return 1.0, 0.0
    values, rows = logits.astype(np.float64), np.arange(len(labels))

    def loss(point: NDArray[np.float64]) -> float:
        factor, doubt = np.exp(point[0]), _doubt(point[1])
        raised = np.exp(factor * (values - values.max(axis=1, keepdims=True)))
        right = (1 - doubt) * raised[rows, labels] / raised.sum(axis=1) + doubt / values.shape[1]
        astray = (point - _USUAL_DOUBT) / _SPREAD_OF_DOUBT
        return float(astray @ astray) / 2 - float(np.log(right).sum())

    found = minimize(loss, _USUAL_DOUBT, method="L-BFGS-B", bounds=((-3, 3), (-12, 12))).x
    return float(np.exp(found[0])), _doubt(found[1])


def _doubt(point: float) -> float:
    return float(_MOST_DOUBT / (1 + np.exp(-point)))


def log_loss(logits: Floats, labels: NDArray[np.integer]) -> float:
    """Return the mean negative log-likelihood of `labels`."""
    raised = logits - logits.max(axis=1, keepdims=True)
    return float(np.mean(np.log(np.exp(raised).sum(axis=1)) - raised[np.arange(len(labels)), labels]))


def class_prior(labels: NDArray[np.integer], classes: int, smoothing: float = 0.5) -> NDArray[np.float32]:
    """Return how frequent each class is, none of them impossible."""
    counts = np.bincount(labels, minlength=classes) + smoothing
    prior: NDArray[np.float32] = (counts / counts.sum()).astype(np.float32)
    return prior
