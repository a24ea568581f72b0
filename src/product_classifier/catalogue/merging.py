"""Corrections among the products to learn from, and nowhere else.

The sides of a catalogue are given before anything is merged, so no correction can move a product:

- one whose text or photo is held by validation or test stays out: what judges the models is never learned;
- one of a product to learn from replaces its label;
- any other is added to the products to learn from, those of `unseen` included: live traffic is what corrections are.
"""

from collections import defaultdict
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from typing import Final, Literal

import pandas as pd

from product_classifier.catalogue.splits import content_keys

FROZEN: Final = frozenset({"validation", "test"})
COLUMNS: Final = ("product_id", "designation", "description", "image_path", "code", "line", "image_sha256", "photo")
"""Of corrections, in the order they were believed: as in a catalogue, with the photo's bytes, as it has no path."""

MergeOutcome = Literal["added", "relabelled", "unchanged", "held_out"]
OUTCOMES: Final[tuple[MergeOutcome, ...]] = ("added", "relabelled", "unchanged", "held_out")


@dataclass(frozen=True, slots=True)
class MergeResult:
    """The products to learn from, and what became of each correction, in their order."""

    train: pd.DataFrame
    outcomes: tuple[MergeOutcome, ...]

    def counts(self) -> dict[MergeOutcome, int]:
        return {fate: self.outcomes.count(fate) for fate in OUTCOMES}


def merge(train: pd.DataFrame, corrections: pd.DataFrame, held: Mapping[str, str]) -> MergeResult:
    """Merge corrections into `train`; `held` has the side of every content key of the whole catalogue.

    Two corrections of near copies are of one product, of which the later is believed.
    """
    if corrections.empty:
        return MergeResult(train, ())
    merged = pd.concat([train.assign(photo=None), corrections[list(COLUMNS)]], ignore_index=True)
    codes = merged["code"].to_list()
    rows: dict[str, set[int]] = defaultdict(set)
    for row, keys in enumerate(_keys(train)):
        for key in keys:
            rows[key].add(row)
    outcomes: list[MergeOutcome] = []
    left_out = []
    for number, keys in enumerate(_keys(corrections), start=len(train)):
        copies = set.intersection(*(rows[key] for key in keys)) if keys else set()
        if not keys or FROZEN & {held.get(key) for key in keys}:
            outcomes.append("held_out")
        elif copies:
            outcomes.append("relabelled" if any(codes[row] != codes[number] for row in copies) else "unchanged")
            for row in copies:
                codes[row] = codes[number]
        else:
            outcomes.append("added")
            for key in keys:
                rows[key].add(number)
            continue
        left_out.append(number)
    return MergeResult(merged.assign(code=codes).drop(index=left_out).reset_index(drop=True), tuple(outcomes))


def _keys(frame: pd.DataFrame) -> Iterator[tuple[str, ...]]:
    for product in zip(frame["designation"], frame["description"], frame["image_sha256"], strict=True):
        yield content_keys(*product)
