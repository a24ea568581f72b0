"""Make confidence believable: sharpen or soften logits until held-out labels are as likely as can be."""

import numpy as np
from numpy.typing import NDArray

Floats = NDArray[np.floating]
_GOLDEN = (5**0.5 - 1) / 2


def fit_scale(logits: Floats, labels: NDArray[np.integer], lowest: float = 0.05, highest: float = 50.0) -> float:
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


def log_loss(logits: Floats, labels: NDArray[np.integer]) -> float:
    """Return the mean negative log-likelihood of `labels`."""
    raised = logits - logits.max(axis=1, keepdims=True)
    return float(np.mean(np.log(np.exp(raised).sum(axis=1)) - raised[np.arange(len(labels)), labels]))


def prior_of(labels: NDArray[np.integer], classes: int, smoothing: float = 0.5) -> NDArray[np.float32]:
    """Return how frequent each class is, none of them impossible."""
    counts = np.bincount(labels, minlength=classes) + smoothing
    prior: NDArray[np.float32] = (counts / counts.sum()).astype(np.float32)
    return prior
