"""Find the categories at which releases with two taxonomies can be compared.

A true category is compared at the finest category of its path that both releases can answer: an answerable one, or one
above answerable ones. A category that only the challenger can answer is new, and has a floor instead of a comparison.
"""

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from product_classifier.taxonomy import Codes, Taxonomy

Read = Callable[[str], str | None]
"""Returns a code of a release's taxonomy in the newest version; None if it has no category there."""


@dataclass(frozen=True)
class Answers:
    """What one release answers for `n` products."""

    codes: Codes
    """The categories it can answer, in its own version."""
    predicted: Sequence[str]
    """Codes of its predictions `[n]`, in its own version."""
    read: Read


@dataclass(frozen=True)
class CommonCategories:
    """The predictions of two releases at the categories they are compared at."""

    codes: Codes
    """Compared categories, as positions of the arrays below; the last position stands for any other answer."""
    labels: NDArray[np.int64]
    """Positions of the true categories `[m]`."""
    champion: NDArray[np.int64]
    challenger: NDArray[np.int64]
    rows: NDArray[np.int64]
    """Rows of the compared products `[m]`."""
    new: Mapping[str, float]
    """Recall of the challenger in the categories that the champion cannot answer."""
    new_items: Mapping[str, int]
    """Products of these categories."""
    left_out: int
    """Products that no category of their path is answered for by both, those of `new` not counted."""

    @property
    def classes(self) -> int:
        """Number of positions."""
        return len(self.codes) + 1


def common_categories(
    newest: Taxonomy, labels: Sequence[str], champion: Answers, challenger: Answers
) -> CommonCategories:
    """Return the predictions of both releases at the categories that both can answer.

    Args:
        newest: The taxonomy to which both are brought.
        labels: True codes `[n]`, of `newest`.
        champion: Answers of the release in service.
        challenger: Answers of the release that may replace it.
    """
    old, new = _Answerable(newest, champion), _Answerable(newest, challenger)
    at: dict[str, str | None] = {label: _coarser(newest, old.class_of(label), new.class_of(label)) for label in labels}
    codes = tuple(dict.fromkeys(code for code in at.values() if code is not None))
    positions = {code: position for position, code in enumerate(codes)}
    rows = np.array([row for row, label in enumerate(labels) if at[label] is not None], np.int64)
    recalls: dict[str, list[bool]] = {}
    left_out = 0
    for row, label in enumerate(labels):
        own = new.class_of(label)
        if own is not None and own != at[label]:
            recalls.setdefault(own, []).append(own in new.path(challenger.predicted[row]))
        elif at[label] is None:
            left_out += 1
    return CommonCategories(
        codes,
        np.array([positions[code] for row in rows if (code := at[labels[row]]) is not None], np.int64),
        np.array([old.position(champion.predicted[row], positions) for row in rows], np.int64),
        np.array([new.position(challenger.predicted[row], positions) for row in rows], np.int64),
        rows,
        {code: float(np.mean(found)) for code, found in recalls.items()},
        {code: len(found) for code, found in recalls.items()},
        left_out,
    )


class _Answerable:
    """The categories of the newest version that a release can answer."""

    def __init__(self, newest: Taxonomy, answers: Answers) -> None:
        self._newest = newest
        self._read = answers.read
        self._paths: dict[str, Codes] = {}
        self._answered = {code for one in answers.codes if (code := answers.read(one)) is not None and code in newest}
        self._covered = {above for code in self._answered for above in newest.path_of(code)}

    def class_of(self, label: str) -> str | None:
        """Return the finest category of a path that is answered, or has answered ones below it."""
        if label not in self._newest:
            return None
        if label in self._covered:
            return label
        return next((code for code in self._newest.ancestors(label) if code in self._answered), None)

    def path(self, predicted: str) -> Codes:
        """Return the path of a prediction in the newest version; empty if it has no category there."""
        if predicted not in self._paths:
            code = self._read(predicted)
            self._paths[predicted] = () if code is None or code not in self._newest else self._newest.path_of(code)
        return self._paths[predicted]

    def position(self, predicted: str, positions: Mapping[str, int]) -> int:
        """Return the position of the finest compared category of a prediction, the last one without any."""
        found = (positions[code] for code in reversed(self.path(predicted)) if code in positions)
        return next(found, len(positions))


def _coarser(newest: Taxonomy, one: str | None, other: str | None) -> str | None:
    """Return the one of two categories of a path that is nearer to the root; None if either is missing."""
    if one is None or other is None:
        return None
    return one if one in newest.path_of(other) else other
