"""Hashed n-gram counts of normalized text, by one vectorized function for training and serving.

The texts of a page are one array of code points. A rolling polynomial hash (Rabin-Karp) gives the hash of every
character n-gram of one length as one array expression; differences of prefix sums give the hash of every word,
independent of its position. Hashes are mixed and cut to a power of two of buckets (feature hashing, Weinberger et al.
2009), so there is no vocabulary to store.

A product has three views, each with its own buckets and its own norm: character n-grams of all its text, words and
pairs of words, and character n-grams of the designation, which is the more informative field.
"""

from collections.abc import Iterator, Sequence
from dataclasses import asdict, dataclass
from functools import cached_property
from typing import Any, Self

import numpy as np
from numpy.typing import NDArray

from product_classifier.text.normalization import (
    DESCRIPTION_CHARACTERS_READ,
    DESIGNATION_CHARACTERS_READ,
    FIELD_SEPARATOR,
)

_PRIME = np.uint64(0x9E3779B97F4A7C15 | 1)
_MAX_CHARACTERS = 2 * (DESIGNATION_CHARACTERS_READ + DESCRIPTION_CHARACTERS_READ)
"""Characters of a text that are hashed; a normalized text has at most half as many."""
_PAGE = 2**16
"""Characters of a page: the size of the tables of powers, small enough for the L2 cache."""

Hashes = NDArray[np.uint32]
Positions = NDArray[np.intp]
Keys = NDArray[Any]


@dataclass(frozen=True)
class TextFeatures:
    """Settings of the hashed counts: buckets, lengths of character n-grams, pairs of words.

    Character n-grams lie within words, as with `analyzer="char_wb"` of scikit-learn.
    """

    buckets: int = 2**18
    shortest: int = 2
    longest: int = 5
    pairs: bool = True

    def __post_init__(self) -> None:
        if self.buckets < 8 or self.buckets & (self.buckets - 1) or self.buckets > 2**24:
            raise ValueError(f"buckets must be a power of two from 8 to 2**24, not {self.buckets!r}")
        if not 1 <= self.shortest <= self.longest <= 8:
            raise ValueError(f"n-grams of {self.shortest!r} to {self.longest!r} characters are not supported")

    @cached_property
    def views(self) -> NDArray[np.int64]:
        """Bucket offsets of the views and their end: half, a quarter and a quarter of the buckets."""
        return np.array([0, self.buckets // 2, 3 * self.buckets // 4, self.buckets])

    def to_json(self) -> dict[str, Any]:
        """Return the settings as JSON values."""
        return asdict(self)

    @classmethod
    def from_json(cls, values: dict[str, Any]) -> Self:
        """Return the features that `to_json` describes."""
        return cls(**values)

    def matrix(self, texts: Sequence[str]) -> Any:
        """Return sublinear counts 1 + log(count) of normalized texts as a scipy CSR matrix `[n, buckets]`."""
        from scipy.sparse import csr_matrix  # noqa: PLC0415 - serving images have no scipy

        columns, values, lengths = [np.zeros(0, np.int32)], [np.zeros(0, np.float32)], [np.zeros(1, np.int64)]
        for page in split_pages(texts):
            keys, counts = self.count(page)
            columns.append((keys % self.buckets).astype(np.int32))
            values.append(1 + np.log(counts))
            lengths.append(np.bincount(keys // self.buckets, minlength=len(page)))
        return csr_matrix(
            (np.concatenate(values), np.concatenate(columns), np.cumsum(np.concatenate(lengths))),
            shape=(len(texts), self.buckets),
        )

    def count(self, texts: Sequence[str]) -> tuple[Keys, NDArray[np.float32]]:
        """Return the sorted distinct keys `row * buckets + bucket` of normalized texts, and the count of each."""
        return count_distinct(self._keys(_Page.of(texts)))

    def occurrences(self, text: str) -> "Occurrences":
        """Return every occurrence of an n-gram or pair in one normalized text, with the words it spans."""
        page = _Page.of([text])
        begins = page.spaces[:-1] & ~page.spaces[1:]  # the space before each word
        word_at = np.concatenate(([0], np.cumsum(begins)))  # index of the next word at a space, plus 1 within it
        found = [(keys, word_at[start] - ~page.spaces[start], pair) for keys, start, pair in self._located(page)]
        return Occurrences(
            np.concatenate([keys for keys, _, _ in found]),
            np.concatenate([first for _, first, _ in found]),
            np.concatenate([first + pair for _, first, pair in found]),
        )

    def view_starts(self, keys: Keys, rows: int) -> Positions:
        """Return the position in sorted `keys` at which each view of each row starts, and the end of the last."""
        edges = np.arange(rows)[:, None] * self.buckets + self.views[:-1]
        return np.append(np.searchsorted(keys, edges.ravel().astype(keys.dtype)), len(keys))

    def _keys(self, page: "_Page") -> Keys:
        return np.concatenate([keys for keys, _, _ in self._located(page)])

    def _located(self, page: "_Page") -> list[tuple[Keys, Positions, bool]]:
        """Return keys of occurrences, where they start, and whether they are pairs of words."""
        small = (page.texts * self.buckets) <= 2**32
        rows = page.rows.astype(np.uint32 if small else np.uint64) * self.buckets
        all_text, words, title = self.views[:-1].astype(rows.dtype)
        masks = self._masks
        hashes, positions, in_title = self._characters(page)
        title_positions = positions[in_title]
        found = [((hashes & masks[0]) + rows[positions] + all_text, positions, False)]
        found += [((hashes[in_title] & masks[2]) + rows[title_positions] + title, title_positions, False)]
        for is_pair, (hashes, positions) in enumerate(self._words(page)):
            found += [((hashes & masks[1]) + rows[positions] + words, positions, bool(is_pair))]
        return found

    def _characters(self, page: "_Page") -> tuple[Hashes, Positions, NDArray[np.bool_]]:
        """Return hash, start and in-title flag of every n-gram with spaces at its ends only."""
        codes = np.maximum(page.points, np.uint32(32)).astype(np.uint64)  # every separator is hashed as a space
        spaces_before = _prefix_sums(page.spaces, np.int64)
        rolling, found = codes, []
        for n in range(2, min(self.longest, len(codes)) + 1):
            rolling = rolling[:-1] * _PRIME + codes[n - 1 :]
            if n < self.shortest:
                continue
            inside = (
                ~(page.spaces[:-1] & page.spaces[1:])
                if n == 2
                else spaces_before[n - 1 : -1] == spaces_before[1 : 1 - n]
            )
            positions = inside.nonzero()[0]
            found.append((rolling[positions] + np.uint64(n), positions, page.title_left[positions] >= n))
        if not found:
            return np.zeros(0, np.uint32), np.zeros(0, np.intp), np.zeros(0, np.bool_)
        hashes, starts, in_title = map(np.concatenate, zip(*found, strict=True))
        return _mix(hashes), starts, in_title

    def _words(self, page: "_Page") -> Iterator[tuple[Hashes, Positions]]:
        """Yield hashes and starts of words of two or more characters, then of pairs of neighbors in one field."""
        edges = (page.spaces[1:] != page.spaces[:-1]).nonzero()[0] + 1
        starts, ends = edges[::2], edges[1::2]
        powers, inverses = self._powers
        prefix = _prefix_sums(page.points * powers[: len(page.points)], np.uint64)
        words = (prefix[ends] - prefix[starts]) * inverses[starts] + (ends - starts).astype(np.uint64)
        words ^= words >> np.uint64(31)
        long = ends - starts > 1
        yield _mix(words[long] * np.uint64(0x94D049BB133111EB)), starts[long]
        if self.pairs:
            fields = page.rows + np.cumsum(page.points == ord(FIELD_SEPARATOR))
            same_field = fields[starts[1:]] == fields[starts[:-1]]
            pairs = words[:-1] * np.uint64(0xD6E8FEB86659FD93) + words[1:]
            yield _mix(pairs[same_field]), starts[:-1][same_field]

    @cached_property
    def _masks(self) -> NDArray[np.uint32]:
        return (np.diff(self.views) - 1).astype(np.uint32)

    @cached_property
    def _powers(self) -> tuple[NDArray[np.uint64], NDArray[np.uint64]]:
        """Powers of the base and of its inverse modulo 2**64; the inverse exists because the base is odd."""
        inverse = np.uint64(pow(int(_PRIME), -1, 2**64))
        return _power_series(_PRIME), _power_series(inverse)


@dataclass(frozen=True)
class Occurrences:
    """Occurrences `[n]` of n-grams in a text: bucket, and index of the first and last word they span."""

    buckets: Keys
    first: Positions
    last: Positions


@dataclass(frozen=True)
class _Page:
    """Texts end to end, each framed by spaces, so that no word crosses from one text into the next."""

    texts: int
    points: NDArray[np.uint32]
    spaces: NDArray[np.bool_]  # separators of words and of fields
    rows: NDArray[np.int64]  # index of the text of each character
    title_left: NDArray[np.int64]  # characters from each position to the end of the designation

    @classmethod
    def of(cls, texts: Sequence[str]) -> Self:
        framed = [f" {text[:_MAX_CHARACTERS]} " for text in texts]
        points = np.frombuffer("".join(framed).encode("utf-32-le", "surrogatepass"), np.uint32)
        lengths = np.array([len(text) for text in framed])
        titles = np.cumsum(lengths) - lengths + [len(text.partition(FIELD_SEPARATOR)[0]) + 1 for text in framed]
        rows = np.repeat(np.arange(len(texts)), lengths)
        return cls(len(texts), points, points <= 32, rows, titles[rows] - np.arange(len(points)))


def count_distinct(keys: Keys) -> tuple[Keys, NDArray[np.float32]]:
    """Return the sorted distinct keys and the count of each."""
    keys = np.sort(keys)
    if not len(keys):
        return keys, np.zeros(0, np.float32)
    is_first = np.ones(len(keys), np.bool_)
    np.not_equal(keys[1:], keys[:-1], out=is_first[1:])
    first = is_first.nonzero()[0]
    counts = np.full(len(first), len(keys) - first[-1], np.float32)
    counts[:-1] = first[1:] - first[:-1]
    return keys[first], counts


def term_weights(idf: NDArray[np.float32], buckets: Positions, counts: NDArray[np.float32], starts: Positions) -> Any:
    """Return sublinear term frequencies, divided by the TF-IDF norm of their view.

    Args:
        idf: Idf `[buckets]`.
        buckets: Bucket of each count, by row and view.
        counts: Counts.
        starts: Position at which each view of each row starts, and the end of the last.
    """
    terms = 1 + np.log(counts)
    if not len(terms):
        return terms
    squares = (terms * idf[buckets]).astype(np.float64) ** 2
    sizes = starts[1:] - starts[:-1]
    filled = sizes > 0  # reduceat has no empty sums
    norms = np.sqrt(np.maximum(np.add.reduceat(squares, starts[:-1][filled]), 1e-12))
    return (terms / np.repeat(norms, sizes[filled])).astype(np.float32)


def split_pages(texts: Sequence[str]) -> Iterator[Sequence[str]]:
    """Yield consecutive parts of `texts` of at most `_PAGE` characters each."""
    first = size = 0
    for row, text in enumerate(texts):
        size += min(len(text), _MAX_CHARACTERS) + 2
        if size > _PAGE:
            yield texts[first:row]
            first, size = row, min(len(text), _MAX_CHARACTERS) + 2
    if texts:
        yield texts[first:]


def _prefix_sums(values: NDArray[Any], kind: type[Any]) -> NDArray[Any]:
    """Return the sums of the first 0, 1, 2, … values `[len(values) + 1]`."""
    sums = np.zeros(len(values) + 1, kind)
    np.cumsum(values, out=sums[1:])
    return sums


def _mix(hashes: NDArray[np.uint64]) -> Hashes:
    """Return the highest 24 bits of mixed hashes (a round of SplitMix64)."""
    hashes ^= hashes >> np.uint64(29)
    hashes *= np.uint64(0xBF58476D1CE4E5B9)
    return (hashes >> np.uint64(40)).astype(np.uint32)


def _power_series(base: np.uint64) -> NDArray[np.uint64]:
    return np.cumprod(np.concatenate(([np.uint64(1)], np.full(_PAGE - 1, base))), dtype=np.uint64)
