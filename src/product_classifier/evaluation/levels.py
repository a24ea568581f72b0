"""Predictions by level of a taxonomy: the probability of a category is the sum of those below it.

With calibrated probabilities of the answerable categories no other model is needed for the categories above them.
"""

from dataclasses import dataclass
from typing import Self

import numpy as np
from numpy.typing import NDArray

from product_classifier.taxonomy import Codes, Taxonomy
from product_classifier.top_probabilities import CANDIDATES, TopProbabilities


@dataclass(frozen=True)
class Level:
    """The categories of one level, and where each answerable category belongs."""

    codes: Codes
    """An answerable category above this level is one of it as well, so that each product has a category."""
    positions: NDArray[np.int64]
    """Position in `codes` of the category that each answerable one is, or is below `[classes]`."""
    is_above: NDArray[np.bool_]
    """Whether that category is above the answerable one `[classes]`."""

    @classmethod
    def of(cls, taxonomy: Taxonomy, codes: Codes, depth: int) -> Self:
        """Return the level `depth`, from 1 for the roots, of answerable categories `codes`."""
        paths = [taxonomy.path_of(code) for code in codes]
        at_level = [path[min(depth, len(path)) - 1] for path in paths]
        found = {code: position for position, code in enumerate(dict.fromkeys(at_level))}
        positions = np.array([found[code] for code in at_level], np.int64)
        return cls(tuple(found), positions, np.array([len(path) > depth for path in paths]))

    def sum_upward(self, found: TopProbabilities) -> TopProbabilities:
        """Return the probabilities of the categories of this level, summed over the kept ones below each."""
        columns = self.positions[found.columns]
        if len(self.codes) <= CANDIDATES:
            dense = np.zeros((len(found), len(self.codes)), np.float32)
            np.add.at(dense, (np.arange(len(found))[:, None], columns), found.kept)
            return TopProbabilities.of(dense)
        order = np.argsort(columns, axis=1, kind="stable")
        columns = np.take_along_axis(columns, order, axis=1)
        sums = np.cumsum(np.take_along_axis(found.kept, order, axis=1), axis=1, dtype=np.float64)
        is_last = np.ones(columns.shape, np.bool_)
        is_last[:, :-1] = columns[:, 1:] != columns[:, :-1]
        upto = np.where(is_last, sums, 0)
        before = np.zeros_like(sums)
        before[:, 1:] = np.maximum.accumulate(upto, axis=1)[:, :-1]
        kept = np.where(is_last, np.maximum(sums - before, 0), 0).astype(np.float32)
        return TopProbabilities(columns.astype(np.int32), kept, len(self.codes))


def levels(taxonomy: Taxonomy, codes: Codes) -> list[Level]:
    """Return the levels above the deepest one, the roots first; none of a taxonomy without a tree."""
    depth = max(len(taxonomy.path_of(code)) for code in codes)
    return [Level.of(taxonomy, codes, one) for one in range(1, depth)]
