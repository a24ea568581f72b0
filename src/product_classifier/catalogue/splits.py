"""Which side of the fence a product stands on: train, validation, test or unseen.

A product has up to two content keys: its text without markup, accents, case and punctuation, and the digest of its
photo. Every key belongs to exactly one side for ever. Products are taken in the order of the catalogue:

- a product none of whose keys is known founds a group; the stable hash of its first key gives the side;
- a product with a known key joins that key's side and brings its other key along;
- a product whose two keys belong to different sides would join two groups that already stand apart. It is
  quarantined: taking it would leak, and moving one of the groups would change a side that was already given.

So no near copy crosses (both products would hold the same key), and rows added at the end move nothing (the answer
for a row depends on earlier rows only). Rows that arrive in another order keep their sides by handing the sides
given before to `Sides`.
"""

import html
import re
import unicodedata
from collections.abc import Iterable, Mapping
from dataclasses import astuple, dataclass
from hashlib import sha256
from typing import Final

import pandas as pd

from product_classifier.errors import CatalogueError

SPLITS: Final = ("train", "validation", "test", "unseen")
QUARANTINED: Final = "quarantined"

_SALT: Final = "product-classifier/1/"
_MARKUP: Final = re.compile(r"<[^<>]{0,2000}>")
_WORD: Final = re.compile(r"[^\W_]+")
_REFERENCE: Final = re.compile(r"\d{6,}")
_LIGATURES: Final = str.maketrans({"œ": "oe", "æ": "ae", "ø": "o", "đ": "d", "ł": "l"})
_TELLING_WORDS: Final = 3
_LONGEST: Final = 20_000


@dataclass(frozen=True, slots=True)
class SplitShares:
    """How large each side is, as a part of all groups."""

    train: float = 0.7
    validation: float = 0.1
    test: float = 0.1
    unseen: float = 0.1

    def __post_init__(self) -> None:
        """Refuse shares that are not parts of one whole."""
        if not all(0 <= share <= 1 for share in astuple(self)) or abs(sum(astuple(self)) - 1) > 1e-6:
            raise CatalogueError(f"the shares of the splits must lie in 0..1 and add up to 1, not {astuple(self)!r}")


class SplitAssigner:
    """The side of every content key seen so far."""

    def __init__(self, shares: SplitShares | None = None, known: Mapping[str, str] | None = None) -> None:
        self._shares = shares or SplitShares()
        self._known = dict(known or {})

    def place(self, keys: Iterable[str]) -> str:
        """Return the side of a product with these keys, which hold that side from now on."""
        keys = tuple(keys)
        if not keys:
            raise CatalogueError("a product with neither text nor photo has no side")
        taken = {self._known[key] for key in keys if key in self._known}
        if len(taken) > 1:
            return QUARANTINED
        side = taken.pop() if taken else split_of_key(keys[0], self._shares)
        self._known.update(dict.fromkeys(keys, side))
        return side

    def holding(self, keys: Iterable[str]) -> set[str]:
        """Return the sides that already hold one of these keys; empty for new content."""
        return {self._known[key] for key in keys if key in self._known}


def assign_splits(
    frame: pd.DataFrame, shares: SplitShares | None = None, known: Mapping[str, str] | None = None
) -> pd.Series:
    """Return the side of every product of a catalogue, or `quarantined`, in the order of its rows."""
    sides = SplitAssigner(shares, known)
    columns = (frame["designation"], frame["description"], frame["image_sha256"])
    placed = [sides.place(content_keys(*product)) for product in zip(*columns, strict=True)]
    return pd.Series(placed, index=frame.index, name="side", dtype="object")


def known_splits(frames: Mapping[str, pd.DataFrame]) -> dict[str, str]:
    """Return the keys held by sides that were given before: `{"train": frame, …}` as written by the split step."""
    known: dict[str, str] = {}
    for side, frame in frames.items():
        for product in zip(frame["designation"], frame["description"], frame["image_sha256"], strict=True):
            known.update(dict.fromkeys(content_keys(*product), side))
    return known


def content_keys(designation: str, description: str, image_sha256: str = "") -> tuple[str, ...]:
    """Return what makes a product a near copy of another: its text, then its photo, as far as it has them."""
    text = text_key(designation, description)
    return tuple(key for key in (text, image_sha256 and f"photo:{image_sha256}") if key)


def text_key(designation: str, description: str) -> str:
    """Return the same key for texts that differ by markup, accents, case, punctuation, spaces or reference numbers.

    A title of three words or more speaks for itself, so the same offer with another description is a near copy;
    a shorter one ("Puzzle") says too little without its description. Empty if there is no word at all.
    """
    words = _words(designation)
    if len(words) < _TELLING_WORDS:
        words += _words(description)
    # "Réf. 20394857" tells sellers apart, not products; sizes, years and volumes do, and stay.
    named = [word for word in words if not _REFERENCE.fullmatch(word)]
    telling = "".join(named if len(named) > _TELLING_WORDS else words)
    return f"text:{sha256(telling.encode()).hexdigest()}" if telling else ""


def split_of_key(key: str, shares: SplitShares | None = None) -> str:
    """Return the side the stable hash of a key points to."""
    position = int.from_bytes(sha256((_SALT + key).encode()).digest()[:8]) / 2**64
    for side, share in zip(SPLITS, astuple(shares or SplitShares()), strict=True):
        if position < share:
            return side
        position -= share
    return SPLITS[0]  # what rounding leaves over


# Deliberately not `text.normalize`: a better normalisation for the models must not move a product to another side.
def _words(text: str) -> list[str]:
    plain = _MARKUP.sub(" ", html.unescape(text[:_LONGEST]))
    folded = unicodedata.normalize("NFKD", plain.casefold().translate(_LIGATURES))
    # Lone surrogates cannot be hashed; they carry no meaning either.
    return _WORD.findall("".join(c for c in folded if not unicodedata.combining(c) and not "\ud800" <= c <= "\udfff"))
