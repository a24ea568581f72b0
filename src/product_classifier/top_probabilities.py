"""The most probable categories of products, in a size that does not grow with the categories."""

from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any, Final, Self

import numpy as np
from numpy.typing import NDArray

from product_classifier.probabilities import Floats

Columns = NDArray[np.int32]

CANDIDATES: Final = 50
"""Categories of a product that are kept; up to as many categories nothing is lost."""
BATCH: Final = 256
"""Products that are processed at a time where their probabilities of all categories are needed."""


@dataclass(frozen=True)
class TopProbabilities:
    """The largest probabilities of `n` products; with at most `CANDIDATES` categories all of them.

    The order within a row is that of the categories if all are kept, else the most probable is first.
    """

    columns: Columns
    """Positions of the categories `[n, k]`."""
    kept: Floats
    """Their probabilities `[n, k]`."""
    classes: int

    @classmethod
    def of(cls, probabilities: Floats) -> Self:
        """Return the largest of probabilities `[n, classes]`."""
        rows, classes = probabilities.shape
        if classes <= CANDIDATES:
            return cls(all_columns(rows, classes), probabilities, classes)
        columns = top_columns(probabilities)
        return cls(columns, np.take_along_axis(probabilities, columns, axis=1), classes)

    @classmethod
    def uniform(cls, rows: int, classes: int) -> Self:
        """Return equal probabilities, the placeholder of an absent modality; the arrays may be written."""
        size = min(classes, CANDIDATES)
        columns = all_columns(rows, size)
        return cls(
            columns if size == classes else columns.copy(), np.full((rows, size), 1 / classes, np.float32), classes
        )

    @classmethod
    def concatenate(cls, parts: list[Self], classes: int) -> Self:
        """Return the rows of all parts."""
        found = parts or [cls.uniform(0, classes)]
        return cls(np.concatenate([one.columns for one in found]), np.concatenate([one.kept for one in found]), classes)

    def __len__(self) -> int:
        return len(self.kept)

    def __getitem__(self, rows: Any) -> Self:
        """Return the rows of a slice, a mask or positions."""
        return type(self)(self.columns[rows], self.kept[rows], self.classes)

    def put(self, rows: Any, found: Self) -> None:
        """Replace the rows of a mask or positions."""
        self.kept[rows] = found.kept
        if not self.complete:
            self.columns[rows] = found.columns

    @property
    def complete(self) -> bool:
        """Whether the probabilities of all categories are kept."""
        return bool(self.kept.shape[1] == self.classes)

    @property
    def predicted(self) -> NDArray[np.int64]:
        """Most probable category `[n]`."""
        best = self.kept.argmax(axis=1)
        return np.take_along_axis(self.columns, best[:, None], axis=1)[:, 0].astype(np.int64)

    @property
    def confidence(self) -> Floats:
        """Probability of the most probable category `[n]`."""
        found: Floats = self.kept.max(axis=1, initial=0.0)
        return found

    def of_columns(self, columns: NDArray[np.integer]) -> Floats:
        """Return the probability `[n]` of one category of each product; 0 for one that is not kept."""
        found: Floats = np.where(self.columns == columns[:, None], self.kept, 0).max(axis=1, initial=0.0)
        return found

    def dense(self) -> Floats:
        """Return probabilities `[n, classes]`; a category that is not kept has 0."""
        if self.complete:
            return self.kept
        found = np.zeros((len(self), self.classes), np.float32)
        np.put_along_axis(found, self.columns, self.kept, axis=1)
        return found


def all_columns(rows: int, classes: int) -> Columns:
    """Return the positions of all categories for each row `[rows, classes]`, without a copy per row."""
    return np.broadcast_to(np.arange(classes, dtype=np.int32), (rows, classes))


def top_columns(scores: NDArray[np.floating], count: int = CANDIDATES) -> Columns:
    """Return the positions of the `count` highest scores of each row `[n, count]`, the highest first."""
    if scores.shape[1] > count:
        found = np.argpartition(-scores, count - 1, axis=1)[:, :count]
        found.sort(axis=1)  # so that equal scores are in the order of the categories
    else:
        found = np.array(all_columns(*scores.shape))
    order = np.argsort(-np.take_along_axis(scores, found, axis=1), axis=1, kind="stable")
    return np.take_along_axis(found, order, axis=1).astype(np.int32)


def label_positions(columns: Columns, labels: NDArray[np.integer]) -> NDArray[np.int64]:
    """Return the position `[n]` of each label in the columns `[n, k]` of its row; -1 if missing."""
    found = columns == labels[:, None]
    return np.where(found.any(axis=1), found.argmax(axis=1), -1)


def batches(rows: int) -> Iterator[slice]:
    """Yield the slices of batches of `BATCH` rows."""
    for start in range(0, rows, BATCH):
        yield slice(start, min(start + BATCH, rows))
