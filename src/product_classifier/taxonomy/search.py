"""Search of categories by words of their codes, labels and synonyms, ignoring case and accents."""

import difflib
import unicodedata
from collections.abc import Sequence
from functools import cached_property

import numpy as np
from numpy.typing import NDArray

_SHORTLIST = 200
"""Categories with the most shared character pairs, whose similarity is computed."""
_COMPARED = 100
"""Characters of a text that are compared."""
_SIMILAR = 0.5
"""Smallest similarity, from 0 to 1, of a category that is named."""


class SearchIndex:
    """Folded texts of a list of categories; results are positions in that list."""

    def __init__(self, texts: Sequence[Sequence[str]]) -> None:
        """Take the code, labels and synonyms of each category; the code comes first."""
        self._texts = [tuple(dict.fromkeys(map(fold, one))) for one in texts]

    def find(self, query: str, limit: int) -> list[int]:
        """Return the positions of categories that contain all words of `query`, best first."""
        folded = fold(query)
        words = folded.split()
        if not words:
            return list(range(min(limit, len(self._texts))))
        ranked = [
            (_rank(texts, folded), position)
            for position, texts in enumerate(self._texts)
            if all(any(word in text for text in texts) for word in words)
        ]
        return [position for _, position in sorted(ranked)[:limit]]

    def nearest(self, text: str, limit: int) -> list[int]:
        """Return the positions of the most similar categories, best first; fewer if few are similar."""
        folded = fold(text)[:_COMPARED]
        rows = [self._rows_by_pair[pair] for pair in _pairs(folded) if pair in self._rows_by_pair]
        if not folded or not rows:
            return []
        shared = np.bincount(np.concatenate(rows), minlength=len(self._texts))
        shortlist = np.argsort(-shared, kind="stable")[:_SHORTLIST]
        matcher = difflib.SequenceMatcher(b=folded, autojunk=False)
        scored = [(-self._similarity(matcher, int(position)), int(position)) for position in shortlist]
        return [position for score, position in sorted(scored)[:limit] if score <= -_SIMILAR]

    @cached_property
    def _rows_by_pair(self) -> dict[str, NDArray[np.int32]]:
        """Positions of the categories that have a pair of characters."""
        rows: dict[str, list[int]] = {}
        for position, texts in enumerate(self._texts):
            for pair in {pair for text in texts for pair in _pairs(text[:_COMPARED])}:
                rows.setdefault(pair, []).append(position)
        return {pair: np.array(found, np.int32) for pair, found in rows.items()}

    def _similarity(self, matcher: "difflib.SequenceMatcher[str]", position: int) -> float:
        ratios = []
        for one in self._texts[position]:
            matcher.set_seq1(one[:_COMPARED])
            ratios.append(matcher.ratio())
        return max(ratios)


def fold(text: str) -> str:
    """Return text in lower case, without accents and with single spaces."""
    decomposed = unicodedata.normalize("NFKD", text.casefold())
    return " ".join("".join(one for one in decomposed if not unicodedata.combining(one)).split())


def _rank(texts: Sequence[str], query: str) -> int:
    """Return 0 for an equal text, 1 for one that starts with the query, 2 for a word that does, else 3."""
    if query in texts:
        return 0
    if any(text.startswith(query) for text in texts):
        return 1
    return 2 if any(f" {query}" in text for text in texts) else 3


def _pairs(text: str) -> set[str]:
    padded = f" {text} "
    return {padded[at : at + 2] for at in range(len(padded) - 1)}
