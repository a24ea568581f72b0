"""Statistics of the difference between two samples: effect sizes, which do not grow with them."""

from typing import Any, Final

import numpy as np
from numpy.typing import NDArray

RARE: Final = 0.005
"""Share that rarer categories are treated as having, so that a handful of products is no large difference."""


def ks_distance(first: NDArray[np.floating], second: NDArray[np.floating]) -> float:
    """Return the Kolmogorov-Smirnov distance, the largest difference of the distributions, 0 to 1."""
    first, second = np.sort(first), np.sort(second)
    values = np.concatenate([first, second])
    below = np.searchsorted(first, values, "right") / len(first)
    return float(np.abs(below - np.searchsorted(second, values, "right") / len(second)).max())


def shares(values: NDArray[np.integer], size: int) -> NDArray[np.float64]:
    """Return the share `[size]` of each value from 0 on."""
    counts: NDArray[np.float64] = np.bincount(values, minlength=size) / max(len(values), 1)
    return counts


def largest_scaled_difference(window: NDArray[np.float64], reference: NDArray[np.float64]) -> float:
    """Return the largest difference of shares `[k]` over the square root of the reference's share.

    That is the term of the chi-squared statistic, without its growth with the sample: 0.25 is an increase of a share of
    0.04 by 0.05.
    """
    return float((np.abs(window - reference) / np.sqrt(np.maximum(reference, RARE))).max())


def auc(positive: NDArray[np.floating], negative: NDArray[np.floating]) -> float:
    """Return the probability that a positive score exceeds a negative one, ties counted half."""
    ordered = np.sort(negative)
    below = np.searchsorted(ordered, positive, "left") + np.searchsorted(ordered, positive, "right")
    return float(below.mean() / (2 * len(negative)))


def domain_auc(window: Any, reference: Any, rng: np.random.Generator) -> float:
    """Return the cross-fitted AUC of a classifier that separates a window from the reference.

    A naive Bayes of independent features, binary if the matrices are sparse, else Gaussian with one variance: its
    closed form makes hundreds of resamples affordable. 0.5 means that nothing separates them.

    Args:
        window: Features `[n, k]`, an array or a CSR matrix.
        reference: Features `[m, k]` of the same kind.
        rng: Chooses the two halves.
    """
    halves = [rng.permutation(rows.shape[0]) % 2 == 0 for rows in (window, reference)]
    found = []
    for side in (True, False):
        fitted = [rows[half == side] for rows, half in zip((window, reference), halves, strict=True)]
        held = [rows[half != side] for rows, half in zip((window, reference), halves, strict=True)]
        weights = domain_weights(*fitted)
        found.append(auc(*(np.asarray(rows @ weights).ravel() for rows in held)))
    return float(np.mean(found))


def domain_weights(window: Any, reference: Any) -> NDArray[np.float64]:
    """Return the weight `[k]` of each feature, positive where it speaks for the window."""
    if isinstance(window, np.ndarray):
        variance = (window.var(axis=0) + reference.var(axis=0)) / 2
        weights: NDArray[np.float64] = (window.mean(axis=0) - reference.mean(axis=0)) / (variance + 1e-4)
        return weights
    shares_of = [(np.asarray(rows.sum(axis=0)).ravel() + 0.5) / (rows.shape[0] + 1) for rows in (window, reference)]
    log_odds: NDArray[np.float64] = np.log(shares_of[0]) - np.log(shares_of[1])
    return log_odds
