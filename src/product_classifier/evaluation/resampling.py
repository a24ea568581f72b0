"""Paired bootstrap of the difference in weighted F1 between two classifiers.

Source: Efron and Tibshirani 1993, "An Introduction to the Bootstrap".
Both classifiers are evaluated on the same resamples of the test set, so variation that affects both cancels out.
"""

import numpy as np
from numpy.typing import NDArray
from scipy.sparse import csr_array

Positions = NDArray[np.integer]
_BLOCK = 200
"""Resamples per iteration."""
_CELLS = 10_000_000
"""Numbers of the weight matrices `[resamples, n]` and `[resamples, classes]` of one iteration."""


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
    by_label, by_both = _one_hot(labels, classes), [_one_hot(found, classes) for found in (champion, challenger)]
    hit_labels = [_one_hot(labels, classes, found == labels) for found in (champion, challenger)]
    gains = []
    block = max(1, min(_BLOCK, _CELLS // max(items, classes)))
    for at in range(0, resamples, block):
        count = min(block, resamples - at)
        weights = rng.multinomial(items, np.full(items, 1 / items), count).astype(np.float64)
        actual = weights @ by_label
        old, new = (
            _f1(actual, weights @ predicted, weights @ hits)
            for predicted, hits in zip(by_both, hit_labels, strict=True)
        )
        gains.append(new - old)
    return np.concatenate(gains)


def _f1(actual: NDArray[np.float64], predicted: NDArray[np.float64], hits: NDArray[np.float64]) -> NDArray[np.float64]:
    """Return the weighted F1 in each resample `[resamples]` from weights by category `[resamples, classes]`."""
    f1 = 2 * hits / np.maximum(actual + predicted, 1)
    weighted: NDArray[np.float64] = (f1 * actual).sum(axis=1) / actual.sum(axis=1)
    return weighted


def _one_hot(positions: Positions, classes: int, kept: NDArray[np.bool_] | None = None) -> csr_array:
    """Return a sparse matrix `[n, classes]` with a 1 at the position of each row that is kept."""
    rows = np.arange(len(positions)) if kept is None else np.flatnonzero(kept)
    ones = np.ones(len(rows))
    return csr_array((ones, (rows, positions[rows])), shape=(len(positions), classes))
