"""Normalised text of a product to hashed counts, by one vectorised function that training and serving share.

Texts are one array of code points, laid end to end. A rolling polynomial hash gives every character n-gram of one
length as one array expression; the difference of two prefix sums gives the hash of a whole word wherever it stands.
Hashes are mixed and cut to a power-of-two number of buckets, so there is no vocabulary to ship and nothing to unpickle.

A product is seen in three views, each with buckets and a length of its own: the characters of all its text, its words
and pairs of words, and the characters of its title, which says more per character than a description does.
"""

from collections.abc import Iterator, Sequence
from dataclasses import asdict, dataclass
from functools import cached_property
from typing import Any, Self

import numpy as np
from numpy.typing import NDArray

from product_classifier.text.normalization import FIELD, MAX_DESCRIPTION, MAX_DESIGNATION

_PRIME = np.uint64(0x9E3779B97F4A7C15 | 1)
_LONGEST = 2 * (MAX_DESIGNATION + MAX_DESCRIPTION)
"""Characters of a text that are read; a normalised one has half of them at most."""
_PAGE = 2**16

Hashes = NDArray[np.uint32]
Places = NDArray[np.intp]
Keys = NDArray[Any]


@dataclass(frozen=True)
class TextFeatures:
    """How text becomes hashed counts of character n-grams inside words, of words and of pairs of words."""

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
        """Where the views begin, and where the last one ends: half of the buckets, a quarter, a quarter."""
        return np.array([0, self.buckets // 2, 3 * self.buckets // 4, self.buckets])

    def to_json(self) -> dict[str, Any]:
        """Return the settings as plain values."""
        return asdict(self)

    @classmethod
    def from_json(cls, values: dict[str, Any]) -> Self:
        """Read what `to_json` wrote."""
        return cls(**values)

    def indices_counts(self, text: str) -> tuple[NDArray[np.int64], NDArray[np.float32]]:
        """Return the buckets a normalised text falls into, ascending, and how often."""
        buckets, counts = self.counted([text])
        return buckets.astype(np.int64), counts

    def matrix(self, texts: Sequence[str]) -> Any:
        """Return sublinear counts of many normalised texts as a scipy CSR matrix `[len(texts), buckets]`."""
        from scipy.sparse import csr_matrix  # noqa: PLC0415 - only training has scipy

        columns, values, lengths = [np.zeros(0, np.int32)], [np.zeros(0, np.float32)], [np.zeros(1, np.int64)]
        for page in pages(texts):
            keys, counts = self.counted(page)
            columns.append((keys % self.buckets).astype(np.int32))
            values.append(1 + np.log(counts))
            lengths.append(np.bincount(keys // self.buckets, minlength=len(page)))
        return csr_matrix(
            (np.concatenate(values), np.concatenate(columns), np.cumsum(np.concatenate(lengths))),
            shape=(len(texts), self.buckets),
        )

    def counted(self, texts: Sequence[str]) -> tuple[Keys, NDArray[np.float32]]:
        """Return the key `row * buckets + bucket` of all that is found, ascending, and how often it is found."""
        keys = np.sort(self._keys(_Page.of(texts)))
        if not len(keys):
            return keys, np.zeros(0, np.float32)
        is_first = np.ones(len(keys), np.bool_)
        np.not_equal(keys[1:], keys[:-1], out=is_first[1:])
        first = is_first.nonzero()[0]
        counts = np.full(len(first), len(keys) - first[-1], np.float32)
        counts[:-1] = first[1:] - first[:-1]
        return keys[first], counts

    def starts(self, keys: Keys, rows: int) -> Places:
        """Return where the views of each row begin among ascending keys, and where the last one ends."""
        edges = np.arange(rows)[:, None] * self.buckets + self.views[:-1]
        return np.append(np.searchsorted(keys, edges.ravel().astype(keys.dtype)), len(keys))

    def _keys(self, page: "_Page") -> Keys:
        small = (page.texts * self.buckets) <= 2**32
        rows = page.rows.astype(np.uint32 if small else np.uint64) * self.buckets
        all_text, words, title = self.views[:-1].astype(rows.dtype)
        masks = self._masks
        hashes, places, in_title = self._characters(page)
        keys = [(hashes & masks[0]) + rows[places] + all_text]
        keys += [(hashes[in_title] & masks[2]) + rows[places[in_title]] + title]
        keys += [(hashes & masks[1]) + rows[places] + words for hashes, places in self._words(page)]
        return np.concatenate(keys)

    def _characters(self, page: "_Page") -> tuple[Hashes, Places, NDArray[np.bool_]]:
        """Hash every n-gram that has blanks at its ends at most; tell where each begins, and if the title has it."""
        codes = np.maximum(page.points, np.uint32(32)).astype(np.uint64)  # every space a blank
        blanks = _sums(page.spaces, np.int64)
        rolling, found = codes, []
        for n in range(2, min(self.longest, len(codes)) + 1):
            rolling = rolling[:-1] * _PRIME + codes[n - 1 :]
            if n < self.shortest:
                continue
            inside = ~(page.spaces[:-1] & page.spaces[1:]) if n == 2 else blanks[n - 1 : -1] == blanks[1 : 1 - n]
            places = inside.nonzero()[0]
            found.append((rolling[places] + np.uint64(n), places, page.title_left[places] >= n))
        if not found:
            return np.zeros(0, np.uint32), np.zeros(0, np.intp), np.zeros(0, np.bool_)
        hashes, everywhere, in_title = map(np.concatenate, zip(*found, strict=True))
        return _mixed(hashes), everywhere, in_title

    def _words(self, page: "_Page") -> Iterator[tuple[Hashes, Places]]:
        """Hash words of two or more characters, and neighbours of one field together; tell where each begins."""
        edges = (page.spaces[1:] != page.spaces[:-1]).nonzero()[0] + 1
        starts, ends = edges[::2], edges[1::2]
        powers, inverses = self._powers
        prefix = _sums(page.points * powers[: len(page.points)], np.uint64)
        words = (prefix[ends] - prefix[starts]) * inverses[starts] + (ends - starts).astype(np.uint64)
        words ^= words >> np.uint64(31)
        long = ends - starts > 1
        yield _mixed(words[long] * np.uint64(0x94D049BB133111EB)), starts[long]
        if self.pairs:
            fields = page.rows + np.cumsum(page.points == ord(FIELD))
            together = fields[starts[1:]] == fields[starts[:-1]]
            pairs = words[:-1] * np.uint64(0xD6E8FEB86659FD93) + words[1:]
            yield _mixed(pairs[together]), starts[:-1][together]

    @cached_property
    def _masks(self) -> NDArray[np.uint32]:
        return (np.diff(self.views) - 1).astype(np.uint32)

    @cached_property
    def _powers(self) -> tuple[NDArray[np.uint64], NDArray[np.uint64]]:
        """Powers of the base and of its inverse modulo 2**64, which exists because the base is odd."""
        inverse = np.uint64(pow(int(_PRIME), -1, 2**64))
        return _series(_PRIME), _series(inverse)


@dataclass(frozen=True)
class _Page:
    """Texts laid end to end, each between two blanks: what is not broken by blanks lies in one text."""

    texts: int
    points: NDArray[np.uint32]
    spaces: NDArray[np.bool_]  # a blank between words, a line break between the fields
    rows: NDArray[np.int64]  # which text a character belongs to
    title_left: NDArray[np.int64]  # characters from here to the end of the title

    @classmethod
    def of(cls, texts: Sequence[str]) -> Self:
        framed = [f" {text[:_LONGEST]} " for text in texts]
        points = np.frombuffer("".join(framed).encode("utf-32-le", "surrogatepass"), np.uint32)
        lengths = np.array([len(text) for text in framed])
        titles = np.cumsum(lengths) - lengths + [len(text.partition(FIELD)[0]) + 1 for text in framed]
        rows = np.repeat(np.arange(len(texts)), lengths)
        return cls(len(texts), points, points <= 32, rows, titles[rows] - np.arange(len(points)))


def pages(texts: Sequence[str]) -> Iterator[Sequence[str]]:
    """Cut into pages that fit the tables of powers, and the cache of a processor."""
    first = size = 0
    for row, text in enumerate(texts):
        size += min(len(text), _LONGEST) + 2
        if size > _PAGE:
            yield texts[first:row]
            first, size = row, min(len(text), _LONGEST) + 2
    if texts:
        yield texts[first:]


def _sums(values: NDArray[Any], kind: type[Any]) -> NDArray[Any]:
    """Return the sums of the first 0, 1, 2, … values."""
    sums = np.zeros(len(values) + 1, kind)
    np.cumsum(values, out=sums[1:])
    return sums


def _mixed(hashes: NDArray[np.uint64]) -> Hashes:
    """Spread what differs over all bits, of which the highest 24 are kept."""
    hashes ^= hashes >> np.uint64(29)
    hashes *= np.uint64(0xBF58476D1CE4E5B9)
    return (hashes >> np.uint64(40)).astype(np.uint32)


def _series(base: np.uint64) -> NDArray[np.uint64]:
    return np.cumprod(np.concatenate(([np.uint64(1)], np.full(_PAGE - 1, base))), dtype=np.uint64)
