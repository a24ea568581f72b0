"""Assign every product to one split: train, validation, test or unseen.

Rows of one group (offers of one product, where the catalogue has such a column) are in the split of their group's key.
Other products have up to two content keys: a hash of its text without markup, accents, case and punctuation, and the
hash of its photo. Every key belongs to exactly one split, permanently. Products are assigned in the order of the
catalogue:

- If no key of a product is known, the stable hash of its first key determines the split.
- If a key is known, the product joins the split of that key, and its other key joins with it.
- If its two keys belong to different splits, the product is quarantined: adding it would leak, and moving one of the
  groups would change a split that was already assigned.
- A product without a key is quarantined.

Near duplicates never cross splits, because they share a key. Rows appended to the catalogue move no other row,
because the split of a row depends on earlier rows only. When rows arrive in another order, pass the splits assigned
before to `SplitAssigner`.
"""

from collections.abc import Iterable, Mapping
from dataclasses import astuple, dataclass
from hashlib import sha256
from typing import Final

import pandas as pd

from product_classifier.catalogue.content_keys import content_keys
from product_classifier.errors import CatalogueError

SPLITS: Final = ("train", "validation", "test", "unseen")
QUARANTINED: Final = "quarantined"

_FROZEN: Final = ("validation", "test")
_GROUP: Final = "group:"
_SALT: Final = "product-classifier/1/"


@dataclass(frozen=True, slots=True)
class SplitShares:
    """Share of the groups in each split, 0 to 1, with sum 1."""

    train: float = 0.7
    validation: float = 0.1
    test: float = 0.1
    unseen: float = 0.1

    def __post_init__(self) -> None:
        if not all(0 <= share <= 1 for share in astuple(self)) or abs(sum(astuple(self)) - 1) > 1e-6:
            raise CatalogueError(f"the shares of the splits must lie in 0..1 and add up to 1, not {astuple(self)!r}")


class SplitAssigner:
    """The split of every content key assigned so far."""

    def __init__(self, shares: SplitShares | None = None, known: Mapping[str, str] | None = None) -> None:
        self._shares = shares or SplitShares()
        self._known = dict(known or {})

    def place(self, keys: Iterable[str]) -> str:
        """Assign a product with these keys; return its split or `QUARANTINED`.

        The key of a group, which comes first, takes precedence over the others.

        Raises:
            CatalogueError: If the product has no key.
        """
        keys = tuple(keys)
        if not keys:
            raise CatalogueError("a product with neither text nor photo has no split")
        is_grouped = keys[0].startswith(_GROUP)
        if is_grouped and keys[0] in self._known:
            split = self._known[keys[0]]
        else:
            found = {self._known[key]: None for key in keys if key in self._known}
            if len(found) > 1 and not is_grouped:
                return QUARANTINED
            split = next(iter(found), None) or split_of_key(keys[0], self._shares)
        for key in keys:
            self._known.setdefault(key, split)
        return split


def assign_splits(
    frame: pd.DataFrame, shares: SplitShares | None = None, known: Mapping[str, str] | None = None
) -> pd.Series:
    """Return the split of every product of a catalogue, or `QUARANTINED`, in the order of its rows."""
    assigner = SplitAssigner(shares, known)
    keys = [(*group_keys(group), *content) for group, content in zip(_groups(frame), _content(frame), strict=True)]
    splits = [assigner.place(own) if own else QUARANTINED for own in keys]
    return pd.Series(splits, index=frame.index, name="split", dtype="object")


def known_splits(frames: Mapping[str, pd.DataFrame]) -> dict[str, str]:
    """Return the split of every content key in the tables of earlier splits, `{"train": frame, …}`."""
    known: dict[str, str] = {}
    for split, frame in frames.items():
        for group, content in zip(_groups(frame), _content(frame), strict=True):
            known.update(dict.fromkeys((*group_keys(group), *content), split))
    # Near duplicates in different groups may be in different splits: what a correction must not change prevails.
    for split in _FROZEN:
        for content in _content(frames[split]) if split in frames else ():
            known.update(dict.fromkeys(content, split))
    return known


def group_keys(group: str) -> tuple[str, ...]:
    """Return the key of a group as a tuple, empty without a group."""
    return (f"{_GROUP}{sha256(group.encode()).hexdigest()}",) if group else ()


def split_of_key(key: str, shares: SplitShares | None = None) -> str:
    """Return the split determined by the stable hash of a key."""
    position = int.from_bytes(sha256((_SALT + key).encode()).digest()[:8]) / 2**64
    for split, share in zip(SPLITS, astuple(shares or SplitShares()), strict=True):
        if position < share:
            return split
        position -= share
    return SPLITS[0]  # rounding of the shares


def _groups(frame: pd.DataFrame) -> list[str]:
    """Return the group of each product; tables of earlier versions have none."""
    return list(frame["group"]) if "group" in frame else [""] * len(frame)


def _content(frame: pd.DataFrame) -> list[tuple[str, ...]]:
    columns = (frame["designation"], frame["description"], frame["image_sha256"])
    return [content_keys(*product) for product in zip(*columns, strict=True)]
