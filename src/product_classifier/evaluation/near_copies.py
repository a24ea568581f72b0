"""Recognize near copies among products that are shown to people, so that each product is shown once."""

from collections.abc import Sequence
from typing import Final

SIMILARITY: Final = 0.8
"""Jaccard similarity of words from which two texts are near copies."""
MIN_WORDS: Final = 3
"""Texts of fewer words are compared by their content keys only."""


class NearCopies:
    """Products that were added, and the search for one that is like another.

    Two products are near copies if they share a content key (`catalogue.content_keys`), or most of their words.
    The cost of a product is linear in those added before.
    """

    def __init__(self) -> None:
        self._by_key: dict[str, int] = {}
        self._words: list[frozenset[str]] = []

    def add(self, keys: Sequence[str], words: frozenset[str]) -> int | None:
        """Return the position of the product that this is a near copy of; None if it was added."""
        found = next((self._by_key[key] for key in keys if key in self._by_key), None)
        if found is None and len(words) >= MIN_WORDS:
            found = next((at for at, other in enumerate(self._words) if _are_similar(words, other)), None)
        if found is None:
            self._words.append(words)
        position = len(self._words) - 1 if found is None else found
        for key in keys:
            self._by_key.setdefault(key, position)
        return found


def _are_similar(words: frozenset[str], others: frozenset[str]) -> bool:
    fewer, more = sorted((len(words), len(others)))
    if fewer < SIMILARITY * more:  # the similarity is at most the ratio of their sizes
        return False
    shared = len(words & others)
    return shared >= SIMILARITY * (fewer + more - shared)
