"""Fit the confidence above which a prediction is accepted without review.

A threshold shows a target precision if the lower bound of the precision above it (Clopper and Pearson 1934) reaches the
target. Two sources say how to choose among many thresholds without reading chance as evidence:

- Fixed sequence testing (Angelopoulos et al. 2021, "Learn then Test"): start at a threshold chosen without the labels
  and lower it while the target is shown. Confidences are calibrated, so the start is the target itself.
- If the start fails, selection with guaranteed risk (Geifman and El-Yaniv 2017, "Selective Classification for Deep
  Neural Networks", algorithm 1): a binary search above it, whose bounds hold for all of its steps at once.

Both together choose a threshold with a lower precision than the target with a probability of at most `RISK`.
"""

import math
from collections.abc import Sequence
from functools import cache

import numpy as np
from numpy.typing import NDArray
from scipy.stats import beta

from product_classifier.decisions import NEVER_ACCEPTED
from product_classifier.evaluation.levels import Level
from product_classifier.probabilities import Floats
from product_classifier.top_probabilities import TopProbabilities

RISK = 0.1


def fit_thresholds(
    found: TopProbabilities, labels: NDArray[np.int64], target_precision: float, tree: Sequence[Level] = ()
) -> Floats:
    """Return a threshold `[classes]` per predicted category; a prediction is accepted above it.

    A category whose predictions show the target precision has its own threshold. Another takes that of the nearest
    category above it whose predictions show it, else the common threshold, which holds for the predictions of all
    categories together, unless its own predictions show that the precision is lower there: then none of them is
    accepted.

    Args:
        found: Out-of-fold probabilities.
        labels: Columns of the true categories `[n]`.
        target_precision: Share of the accepted predictions that must be right, between 0 and 1.
        tree: Levels above the deepest one, the roots first.
    """
    groups = [level.positions for level in tree] + [np.arange(found.classes)]
    return _fit(found.predicted, found.confidence, found.predicted == labels, groups, target_precision)


def fit_ancestor_thresholds(
    found: TopProbabilities,
    labels: NDArray[np.int64],
    accepted: NDArray[np.bool_],
    target_precision: float,
    tree: Sequence[Level],
) -> dict[str, float]:
    """Return thresholds of the categories above the answerable ones, by code.

    One whose predictions show no precision is left out. They hold for the predictions that are answered nowhere
    below: each level is fitted on what the deeper ones leave.

    Args:
        found: Out-of-fold probabilities.
        labels: Columns of the true categories `[n]`.
        accepted: Which predictions are accepted as they are `[n]`.
        target_precision: Share of the answers that must be right, between 0 and 1.
        tree: Levels above the deepest one, the roots first.
    """
    predicted, thresholds = found.predicted, {}
    left = ~accepted
    for depth in range(len(tree) - 1, -1, -1):
        level = tree[depth]
        rows = np.flatnonzero(left & level.is_above[predicted])
        columns = predicted[rows]
        confidence = level.sum_upward(found[rows]).of_columns(level.positions[columns])
        correct = level.positions[labels[rows]] == level.positions[columns]
        groups = [one.positions for one in tree[: depth + 1]]
        by_column = _fit(columns, confidence, correct, groups, target_precision)
        left[rows[confidence > by_column[columns]]] = False
        for column in np.flatnonzero(level.is_above & (by_column < NEVER_ACCEPTED)).tolist():
            thresholds[level.codes[level.positions[column]]] = float(by_column[column])
    return thresholds


def _fit(
    predicted: NDArray[np.int64],
    confidence: Floats,
    correct: NDArray[np.bool_],
    groups: Sequence[NDArray[np.int64]],
    target_precision: float,
) -> Floats:
    """Return a threshold `[classes]` per predicted category.

    Args:
        predicted: Columns of the predicted categories `[n]`.
        confidence: Probabilities to compare with the thresholds `[n]`.
        correct: Which predictions are right `[n]`.
        groups: Group of each category `[classes]`, from coarse to fine; all of one group have one threshold.
        target_precision: Share of the accepted predictions that must be right.
    """
    common = lowest_threshold(confidence, correct, target_precision)
    thresholds = np.full(len(groups[0]), common, np.float32)
    for group_of in groups:
        for group in np.unique(group_of[predicted]):
            members = group_of == group
            rows = members[predicted]
            own = lowest_threshold(confidence[rows], correct[rows], target_precision)
            accepted = correct[rows & (confidence > thresholds[predicted])]
            if own < NEVER_ACCEPTED:
                thresholds[members] = own
            elif _upper_bound(int(accepted.sum()), len(accepted)) < target_precision:
                thresholds[members] = NEVER_ACCEPTED
    return thresholds


def lowest_threshold(confidence: Floats, correct: NDArray[np.bool_], target_precision: float) -> float:
    """Return the lowest threshold that shows the target precision; `NEVER_ACCEPTED` if none does.

    A threshold lies between two different confidences: equal ones are accepted or reviewed together, and rounding
    changes no decision.
    """
    order = np.argsort(-confidence, kind="stable")
    ranked = confidence[order].astype(np.float64)
    counts = np.flatnonzero(np.append(ranked[1:] < ranked[:-1], True)[: len(ranked)]) + 1  # accepted by each threshold
    hits = np.cumsum(correct[order], dtype=np.int64)[counts - 1]
    fewest = max(int(np.count_nonzero(ranked > target_precision)), _fewest(target_precision))
    start = int(np.searchsorted(counts, fewest))
    if start == len(counts):
        return NEVER_ACCEPTED
    shown = _lower_bound(hits[start:], counts[start:], RISK / 2) >= target_precision
    if shown[0]:
        failures = np.flatnonzero(~shown)
        found = start + (int(failures[0]) if len(failures) else len(shown)) - 1
    else:
        found = _search(hits[:start], counts[:start], target_precision)
    if found < 0:
        return NEVER_ACCEPTED
    end = int(counts[found])
    return float(ranked[end - 1] + ranked[end]) / 2 if end < len(ranked) else 0.0


def _search(hits: NDArray[np.integer], counts: NDArray[np.integer], target_precision: float) -> int:
    """Return the position of the largest count found to show the target precision; -1 for none."""
    steps = max(1, math.ceil(math.log2(len(counts) + 1)))
    low, high, found = 0, len(counts) - 1, -1
    while low <= high:
        middle = (low + high) // 2
        one = slice(middle, middle + 1)
        if _lower_bound(hits[one], counts[one], RISK / 2 / steps)[0] >= target_precision:
            found, low = middle, middle + 1
        else:
            high = middle - 1
    return found


@cache
def _fewest(target_precision: float) -> int:
    """Return the number of predictions with which the target can be shown although one of them is wrong."""
    count = 2
    while _lower_bound(np.array([count - 1]), np.array([count]), RISK / 2)[0] < target_precision:
        count += 1 + count // 50  # finer than 2 % is not needed
    return count


def _lower_bound(hits: NDArray[np.integer], counts: NDArray[np.integer], risk: float) -> NDArray[np.float64]:
    """Return what a share of which `hits` of `counts` were seen exceeds with a probability of 1 - `risk`."""
    bound: NDArray[np.float64] = beta.ppf(risk, np.maximum(hits, 1), counts - hits + 1)
    return np.where(hits > 0, bound, 0.0)


def _upper_bound(hits: int, count: int) -> float:
    return float(beta.ppf(1 - RISK, hits + 1, count - hits)) if hits < count else 1.0
