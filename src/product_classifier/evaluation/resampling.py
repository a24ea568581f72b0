"""Paired bootstrap of the difference in weighted F1 between two classifiers.

Source: Efron and Tibshirani 1993, "An Introduction to the Bootstrap".
Both classifiers are evaluated on the same resamples of the test set, so variation that affects both cancels out.
"""

import numpy as np
from numpy.typing import NDArray

Positions = NDArray[np.integer]
_BLOCK = 200
"""Resamples per iteration; bounds the weight matrix `[resamples, n]`."""


def bootstrap_gains(
    champion: Positions, challenger: Positions, labels: Positions, classes: int, resamples: int = 2000, seed: int = 27
) -> NDArray[np.float64]:
    """Return the gain in weighted F1 of the challenger over the champion in each resample `[resamples]`.

    Args:
        champion: Predicted positions `[n]`.
        challenger: Predicted positions `[n]`.
        labels: True positions `[n]`.
        classes: Number of categories.
        resamples: Number of bootstrap resamples.
        seed: Seed of the resampling.
    """
    rng = np.random.default_rng(seed)
    items = len(labels)
    gains = []
    for at in range(0, resamples, _BLOCK):
        count = min(_BLOCK, resamples - at)
        weights = rng.multinomial(items, np.full(items, 1 / items), count).astype(np.float64)
        actual = weights @ _one_hot(labels, classes)
        gains.append(_f1(weights, challenger, labels, actual) - _f1(weights, champion, labels, actual))
    return np.concatenate(gains)


def _f1(
    weights: NDArray[np.float64], predictions: Positions, labels: Positions, actual: NDArray[np.float64]
) -> NDArray[np.float64]:
    """Return the weighted F1 in each resample `[resamples]`."""
    predicted = _one_hot(predictions, actual.shape[1])
    hits = weights @ (predicted * (predictions == labels)[:, None])
    f1 = 2 * hits / np.maximum(actual + weights @ predicted, 1)
    weighted: NDArray[np.float64] = (f1 * actual).sum(axis=1) / actual.sum(axis=1)
    return weighted


def _one_hot(positions: Positions, classes: int) -> NDArray[np.float64]:
    return np.eye(classes)[positions]
