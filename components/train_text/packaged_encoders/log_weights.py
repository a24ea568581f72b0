"""Fit the weights of log-probabilities in a late fusion by their log loss."""

import numpy as np
from numpy.typing import NDArray
from scipy.optimize import minimize

from product_classifier.fusion.calibration import log_loss
from product_classifier.probabilities import Floats

HIGHEST = 10.0
_PRIOR_SD = 0.5
"""Standard deviation of the normal prior of a weight, whose mean is one divided by the number of models."""


def fit_log_weights(log_probabilities: NDArray[np.float64], labels: NDArray[np.integer]) -> Floats:
    """Return the weights `[models]` of log-probabilities `[models, n, classes]`, from 0 to `HIGHEST`.

    Maximum a posteriori with labels `[n]`. The loss is convex in the weights.
    """
    models = len(log_probabilities)
    start = np.full(models, 1 / models)
    truth = log_probabilities[:, np.arange(len(labels)), labels]

    def loss(weights: NDArray[np.float64]) -> tuple[float, NDArray[np.float64]]:
        logits = np.tensordot(weights, log_probabilities, axes=1)
        raised = np.exp(logits - logits.max(axis=1, keepdims=True))
        shares = raised / raised.sum(axis=1, keepdims=True)
        expected = (shares * log_probabilities).sum(axis=(1, 2))
        deviation = (weights - start) / _PRIOR_SD
        gradient = expected - truth.sum(axis=1) + deviation / _PRIOR_SD
        return len(labels) * log_loss(logits, labels) + float(deviation @ deviation) / 2, gradient

    fitted = minimize(loss, start, jac=True, method="L-BFGS-B", bounds=[(0, HIGHEST)] * models).x
    weights: Floats = fitted.astype(np.float32)
    return weights
