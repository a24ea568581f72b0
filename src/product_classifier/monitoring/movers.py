"""What moved most: the words, photos, categories and products behind a measure."""

from collections import Counter
from collections.abc import Sequence
from typing import Final

import numpy as np
from numpy.typing import NDArray

from product_classifier.monitoring.drift_windows import Mover
from product_classifier.monitoring.measured_products import MISSING, MeasuredProducts
from product_classifier.monitoring.text_measures import word_buckets
from product_classifier.monitoring.two_samples import RARE, domain_weights, shares
from product_classifier.monitoring.window_tests import word_matrix

MAX_MOVERS: Final = 8
MIN_OCCURRENCES: Final = 3


def moved_values(
    reference: NDArray[np.integer], window: NDArray[np.integer], names: Sequence[str]
) -> tuple[Mover, ...]:
    """Return the values whose share changed most, by position in `names`."""
    before, after = (shares(rows[rows != MISSING], len(names)) for rows in (reference, window))
    order = np.argsort(-np.abs(after - before) / np.sqrt(np.maximum(before, RARE)))[:MAX_MOVERS]
    return tuple(
        Mover(name=names[at], reference=float(before[at]), window=float(after[at]))
        for at in order.tolist()
        if before[at] != after[at]
    )


def moved_words(reference: MeasuredProducts, words: Sequence[frozenset[str]]) -> tuple[Mover, ...]:
    """Return the words of the window that became most frequent; the reference has hashes only.

    Args:
        reference: Products that the release was trained on.
        words: Words of the products of the window.
    """
    counts = Counter(word for one in words for word in one)
    seen = dict(zip(*np.unique(reference.words[1], return_counts=True), strict=True))
    found = []
    for word, count in counts.items():
        if count >= MIN_OCCURRENCES:
            before = float(seen.get(int(word_buckets([word])[0]), 0)) / max(len(reference), 1)
            after = count / max(len(words), 1)
            found.append(((after - before) / np.sqrt(max(before, RARE)), word, before, after))
    return tuple(
        Mover(name=word, reference=before, window=after)
        for score, word, before, after in sorted(found, reverse=True)[:MAX_MOVERS]
        if score > 0
    )


def most_unlike(reference: MeasuredProducts, window: MeasuredProducts, names: Sequence[str]) -> tuple[Mover, ...]:
    """Return the products of the window whose words are most unlike the reference."""
    if not len(window) or not len(reference):
        return ()
    matrices = word_matrix(window), word_matrix(reference)
    weights = domain_weights(*matrices)
    scores = np.asarray(matrices[0] @ weights).ravel() / np.maximum(matrices[0].getnnz(axis=1), 1)
    return tuple(Mover(name=names[at]) for at in np.argsort(-scores)[:MAX_MOVERS].tolist())


def most_unlike_photos(
    reference: MeasuredProducts, window: MeasuredProducts, names: Sequence[str | None]
) -> tuple[Mover, ...]:
    """Return the photos of the window whose features are most unlike the reference."""
    present, known = (one.photo_features.min(axis=1, initial=0) >= 0 for one in (window, reference))
    if present.sum() < MIN_OCCURRENCES or known.sum() < MIN_OCCURRENCES:
        return ()
    weights = domain_weights(window.photo_features[present], reference.photo_features[known])
    scores = np.where(present, window.photo_features @ weights, -np.inf)
    order = [at for at in np.argsort(-scores)[:MAX_MOVERS].tolist() if present[at]]
    return tuple(Mover(name=str(names[at])) for at in order if names[at])
