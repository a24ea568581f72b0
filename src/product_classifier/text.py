"""Text of a product to numbers, by one vectorised function that training and serving share.

The normalised text is an array of code points. A rolling polynomial hash gives every character n-gram of one length as
one array expression; the difference of two prefix sums gives the hash of a whole word wherever it stands. Hashes are
mixed and cut to a power-of-two number of buckets, so there is no vocabulary to ship and nothing to unpickle.

A product is seen in three views, each with buckets and a length of its own: the characters of all its text, its words
and pairs of words, and the characters of its title, which says more per character than a description does.
"""

import html
import re
import unicodedata
from collections.abc import Sequence
from dataclasses import asdict, dataclass
from functools import cached_property
from typing import Any, Self

import numpy as np
from numpy.typing import NDArray

MAX_DESIGNATION = 1_000
MAX_DESCRIPTION = 6_000
"""Characters that are read; what real sellers write beyond them tells nothing more about the category."""

_TAG = re.compile(r"<[^<>]*>")
_MARKS = re.compile(r"[\u0300-\u036f]+")
_NOT_WORD = re.compile(r"[\W_]+")
_PRIME = np.uint64(0x9E3779B97F4A7C15 | 1)
_LONGEST = 2 * (MAX_DESIGNATION + MAX_DESCRIPTION) + 8
_FIELD = "\n"


def normalise(designation: str | None, description: str | None) -> str:
    """Return plain lower-case words without accents, the designation's first, a line break between the two.

    Text without a letter or digit gives the empty string.
    """
    title = _plain(designation or "", MAX_DESIGNATION)
    body = _plain(description or "", MAX_DESCRIPTION)
    return f"{title}{_FIELD}{body}" if body else title


def readable(designation: str | None, description: str | None) -> str:
    """Return the text as it was meant to be read, for encoders that know accents and capitals; empty without words."""
    if not normalise(designation, description):
        return ""
    fields = _unmarked(designation or "", MAX_DESIGNATION), _unmarked(description or "", MAX_DESCRIPTION)
    return _FIELD.join(" ".join(field.encode(errors="replace").decode().split()) for field in fields)


def _unmarked(text: str, limit: int) -> str:
    text = text[: 2 * limit]  # markup and entities may take half; a 10 MB title costs what a long one costs
    if "&" in text:
        text = html.unescape(text)
    if "<" in text:
        text = _TAG.sub(" ", text)
    return text


def _plain(text: str, limit: int) -> str:
    text = _unmarked(text, limit).lower()
    if not text.isascii():
        text = _MARKS.sub("", unicodedata.normalize("NFKD", text)).lower()
    return _NOT_WORD.sub(" ", text[: 2 * limit]).strip()[:limit]


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

    @property
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
        hashed = np.sort(self._buckets_of(text))
        if not len(hashed):
            return np.zeros(0, np.int64), np.zeros(0, np.float32)
        first = np.flatnonzero(np.concatenate(([True], hashed[1:] != hashed[:-1])))
        counts = np.diff(first, append=len(hashed))
        return hashed[first].astype(np.int64), counts.astype(np.float32)

    def matrix(self, texts: Sequence[str]) -> Any:
        """Return sublinear counts of many normalised texts as a scipy CSR matrix `[len(texts), buckets]`."""
        from scipy.sparse import csr_matrix  # noqa: PLC0415 - only training has scipy

        rows = [self.indices_counts(text) for text in texts]
        lengths = [len(indices) for indices, _ in rows]
        if not rows:
            return csr_matrix((0, self.buckets), dtype=np.float32)
        return csr_matrix(
            (
                1 + np.log(np.concatenate([counts for _, counts in rows])),
                np.concatenate([indices for indices, _ in rows]).astype(np.int32),
                np.concatenate([[0], np.cumsum(lengths)]),
            ),
            shape=(len(rows), self.buckets),
        )

    def _buckets_of(self, text: str) -> NDArray[np.uint32]:
        if not text:
            return np.zeros(0, np.uint32)
        points = np.frombuffer(f" {text} ".encode("utf-32-le", "surrogatepass"), np.uint32)[:_LONGEST]
        spaces = points <= 32  # a blank between words, a line break between the fields
        title = len(f" {text.partition(_FIELD)[0]} ")
        found = (
            self._characters(points, spaces),
            self._words(points, spaces),
            self._characters(points[:title], spaces[:title]),
        )
        hashes = np.concatenate([part for view in found for part in view])
        hashes ^= hashes >> np.uint64(29)
        hashes *= np.uint64(0xBF58476D1CE4E5B9)
        buckets = (hashes >> np.uint64(40)).astype(np.uint32)
        at = 0
        for view, start, end in zip(found, self.views[:-1], self.views[1:], strict=True):
            until = at + sum(map(len, view))
            buckets[at:until] = (buckets[at:until] & np.uint32(end - start - 1)) + np.uint32(start)
            at = until
        return buckets

    def _characters(self, points: NDArray[np.uint32], spaces: NDArray[np.bool_]) -> list[NDArray[np.uint64]]:
        """Hash every n-gram that has blanks at its ends at most."""
        codes = np.where(spaces, np.uint32(32), points).astype(np.uint64)
        blanks = np.concatenate(([0], np.cumsum(spaces)))
        rolling, found = codes, []
        for n in range(2, self.longest + 1):
            rolling = rolling[:-1] * _PRIME + codes[n - 1 :]
            if not len(rolling):
                break
            if n < self.shortest:
                continue
            if n == 2:
                inside = ~(spaces[:-1] & spaces[1:])
            else:
                inside = blanks[n - 1 : len(points)] == blanks[1 : len(points) - n + 2]
            found.append(rolling[inside] + np.uint64(n))
        return found

    def _words(self, points: NDArray[np.uint32], spaces: NDArray[np.bool_]) -> list[NDArray[np.uint64]]:
        """Hash words of two or more characters, and neighbours of one field together."""
        edges = np.flatnonzero(spaces[1:] != spaces[:-1]) + 1
        starts, ends = edges[::2], edges[1::2]
        powers, inverses = self._powers
        prefix = np.concatenate(([np.uint64(0)], np.cumsum(points * powers[: len(points)], dtype=np.uint64)))
        words = (prefix[ends] - prefix[starts]) * inverses[starts] + (ends - starts).astype(np.uint64)
        words ^= words >> np.uint64(31)
        found = [words[ends - starts > 1] * np.uint64(0x94D049BB133111EB)]
        if self.pairs and len(words) > 1:
            breaks = np.cumsum(points == ord(_FIELD))
            together = breaks[starts[1:]] == breaks[starts[:-1]]
            found.append((words[:-1] * np.uint64(0xD6E8FEB86659FD93) + words[1:])[together])
        return found

    @cached_property
    def _powers(self) -> tuple[NDArray[np.uint64], NDArray[np.uint64]]:
        """Powers of the base and of its inverse modulo 2**64, which exists because the base is odd."""
        inverse = np.uint64(pow(int(_PRIME), -1, 2**64))
        return _series(_PRIME), _series(inverse)


def _series(base: np.uint64) -> NDArray[np.uint64]:
    return np.cumprod(np.concatenate(([np.uint64(1)], np.full(_LONGEST - 1, base))), dtype=np.uint64)
