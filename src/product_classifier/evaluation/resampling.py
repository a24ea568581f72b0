"""How sure it is that one classifier is better than another, from the one test set there is.

Both are judged on the same resamples of the items (a paired bootstrap), so what makes items easy or hard for both
cancels out and a small difference can be told from luck.
"""

import numpy as np
from numpy.typing import NDArray

Positions = NDArray[np.integer]
_BLOCK = 200
"""Resamples at a time: their weights are a matrix of so many rows and a column per item."""


def bootstrap_gains(
    champion: Positions, challenger: Positions, labels: Positions, classes: int, resamples: int = 2000, seed: int = 27
) -> NDArray[np.float64]:
    """Return by how much the challenger's weighted F1 is higher in each resample; answers and labels are `[n]`."""
    random = np.random.default_rng(seed)
    items = len(labels)
    found = []
    for at in range(0, resamples, _BLOCK):
        count = min(_BLOCK, resamples - at)
        weights = random.multinomial(items, np.full(items, 1 / items), count).astype(np.float64)
        actual = weights @ _one_hot(labels, classes)
        found.append(_f1(weights, challenger, labels, actual) - _f1(weights, champion, labels, actual))
    return np.concatenate(found)


def _f1(
    weights: NDArray[np.float64], answers: Positions, labels: Positions, actual: NDArray[np.float64]
) -> NDArray[np.float64]:
    """Return the weighted F1 of each resample `[resamples]`."""
    answered = _one_hot(answers, actual.shape[1])
    hits = weights @ (answered * (answers == labels)[:, None])
    f1 = 2 * hits / np.maximum(actual + weights @ answered, 1)
    found: NDArray[np.float64] = (f1 * actual).sum(axis=1) / actual.sum(axis=1)
    return found


def _one_hot(positions: Positions, classes: int) -> NDArray[np.float64]:
    return np.eye(classes)[positions]
