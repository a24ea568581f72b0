"""Merge corrections into the training split and into no other.

The splits are assigned before corrections are merged, so no correction can move a product:

- A correction whose text or photo belongs to validation or test is held out, so that no model trains on its test data.
- A correction of a training product replaces its label.
- Any other correction is added to the training products, those of `unseen` included: `unseen` simulates live traffic.
"""

from collections import defaultdict
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from typing import Final, Literal

import pandas as pd

from product_classifier.catalogue.content_keys import content_keys

FROZEN: Final = frozenset({"validation", "test"})
COLUMNS: Final = ("product_id", "designation", "description", "image_path", "code", "line", "image_sha256", "photo")
"""Columns of corrections: those of the catalogue, and the photo as bytes, because it has no path."""

MergeOutcome = Literal["added", "relabelled", "unchanged", "held_out"]
OUTCOMES: Final[tuple[MergeOutcome, ...]] = ("added", "relabelled", "unchanged", "held_out")


@dataclass(frozen=True, slots=True)
class MergeResult:
    """The training products after the merge, and the outcome of each correction, in their order."""

    train: pd.DataFrame
    outcomes: tuple[MergeOutcome, ...]

    def counts(self) -> dict[MergeOutcome, int]:
        """Return the number of corrections per outcome."""
        return {outcome: self.outcomes.count(outcome) for outcome in OUTCOMES}


def merge(train: pd.DataFrame, corrections: pd.DataFrame, known: Mapping[str, str]) -> MergeResult:
    """Merge corrections into `train`.

    Args:
        train: Products of the training split.
        corrections: Table with `COLUMNS`, in the order in which the corrections became trusted. Of two corrections
            of near duplicates the later one applies.
        known: Split of every content key of the whole catalogue, see `splits.known_splits`.
    """
    if corrections.empty:
        return MergeResult(train, ())
    added = corrections[list(COLUMNS)]
    if len(train) and isinstance(train["product_id"].iloc[0], str):  # ids of the challenge are integers
        added = added.assign(product_id=added["product_id"].astype(str))
    merged = pd.concat([train.assign(photo=None), added], ignore_index=True)
    codes = merged["code"].to_list()
    rows: dict[str, set[int]] = defaultdict(set)
    for row, keys in enumerate(_content_keys(train)):
        for key in keys:
            rows[key].add(row)
    outcomes: list[MergeOutcome] = []
    dropped = []
    for number, keys in enumerate(_content_keys(corrections), start=len(train)):
        duplicates = set.intersection(*(rows[key] for key in keys)) if keys else set()
        if not keys or FROZEN & {known.get(key) for key in keys}:
            outcomes.append("held_out")
        elif duplicates:
            outcomes.append("relabelled" if any(codes[row] != codes[number] for row in duplicates) else "unchanged")
            for row in duplicates:
                codes[row] = codes[number]
        else:
            outcomes.append("added")
            for key in keys:
                rows[key].add(number)
            continue
        dropped.append(number)
    return MergeResult(merged.assign(code=codes).drop(index=dropped).reset_index(drop=True), tuple(outcomes))


def _content_keys(frame: pd.DataFrame) -> Iterator[tuple[str, ...]]:
    for product in zip(frame["designation"], frame["description"], frame["image_sha256"], strict=True):
        yield content_keys(*product)
