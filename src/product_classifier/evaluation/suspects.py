"""Labels that are probably wrong, by confident learning (Northcutt, Jiang and Chuang 2021).

A label is a suspect if the model is confident of another category: its probability is at least the mean probability
that products labelled with that category have for it, or one half. Suspects are ordered by the probability of their own
label, the lowest first. The probabilities must be out of fold: a model that was trained on a wrong label repeats it.
"""

from collections.abc import Sequence
from dataclasses import dataclass, field

import numpy as np
from numpy.typing import NDArray

from product_classifier.evaluation.near_copies import NearCopies
from product_classifier.probabilities import Floats
from product_classifier.top_probabilities import TopProbabilities

MAJORITY = 0.5
"""A category with this probability is confident however sure the model is of others: no other can have more."""


@dataclass(frozen=True, slots=True)
class Suspect:
    """A product whose label is probably wrong, as positions in the arguments of `find_suspects`."""

    row: int
    label: int
    label_probability: float
    suggested: int
    suggested_probability: float
    copies: list[int] = field(default_factory=list)
    """Rows of near copies that are suspects too and come after it."""


def find_suspects(
    probabilities: TopProbabilities,
    labels: NDArray[np.integer],
    keys: Sequence[Sequence[str]],
    words: Sequence[frozenset[str]],
    limit: int,
) -> list[Suspect]:
    """Return at most `limit` suspects, the most probable error first, one for each group of near copies.

    Args:
        probabilities: Out-of-fold probabilities.
        labels: Position `[n]` of the category each product is labelled with.
        keys: Content keys of each product.
        words: Words of each product.
        limit: Number of suspects.
    """
    rows = np.arange(len(labels))
    own = probabilities.of_columns(labels)
    suggested, suggested_probability = _suggested(probabilities, labels, own)
    candidates = rows[suggested >= 0]
    found: list[Suspect] = []
    seen = NearCopies()
    for row in candidates[own[candidates].argsort(kind="stable")].tolist():
        copied = seen.add(keys[row], words[row])
        if copied is not None:
            if copied < len(found):
                found[copied].copies.append(row)
        elif len(found) == limit:
            break
        else:
            other = int(suggested[row])
            found.append(Suspect(row, int(labels[row]), float(own[row]), other, float(suggested_probability[row])))
    return found


def _suggested(
    probabilities: TopProbabilities, labels: NDArray[np.integer], own: Floats
) -> tuple[NDArray[np.intp], Floats]:
    """Return the most probable other category of each product that is confident of it `[n]`, else -1; and how far."""
    classes = probabilities.classes
    counts = np.bincount(labels, minlength=classes)
    sums = np.bincount(labels, own, classes)
    thresholds = np.where(counts > 0, np.minimum(sums / np.maximum(counts, 1), MAJORITY), np.inf)
    confident = np.where(probabilities.kept >= thresholds[probabilities.columns], probabilities.kept, 0)
    best = np.take_along_axis(probabilities.columns, confident.argmax(axis=1)[:, None], axis=1)[:, 0].astype(np.intp)
    highest: Floats = confident.max(axis=1, initial=0)
    return np.where((highest > 0) & (best != labels), best, -1), highest
