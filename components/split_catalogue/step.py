"""Divide the catalogue into what is learned from, tuned on, judged on and simulated with."""

import json
from pathlib import Path

import pandas as pd

from product_classifier.catalogue.merging import MergeResult, merge
from product_classifier.catalogue.splits import QUARANTINED, SPLITS, SplitShares, assign_splits, known_splits
from product_classifier.errors import CatalogueError


def run(
    catalogue: Path,
    train: Path,
    validation: Path,
    test: Path,
    unseen: Path,
    report: Path,
    share_train: float = 0.7,
    share_validation: float = 0.1,
    share_test: float = 0.1,
    share_unseen: float = 0.1,
    keep: Path | None = None,
    corrections: Path | None = None,
) -> int:
    """Write the four sides (parquet) and `report` (JSON); return how many products are left to learn from.

    `corrections`, as `merge_corrections` writes them, are merged into `train` and into no other side. `keep` is a
    folder with splits made before, whose sides are kept whatever the order of the rows is now.
    """
    products = pd.read_parquet(catalogue)
    shares = SplitShares(share_train, share_validation, share_test, share_unseen)
    sides = assign_splits(products, shares, _kept(keep))
    parts = {side: products[sides == side].reset_index(drop=True) for side in SPLITS}
    if parts["train"].empty:
        raise CatalogueError(f"{len(products)} products leave nothing to learn from: more data is needed")
    merged = _merged(parts, corrections)
    parts["train"] = merged.train
    for side, path in zip(SPLITS, (train, validation, test, unseen), strict=True):
        path.parent.mkdir(parents=True, exist_ok=True)
        parts[side].to_parquet(path, index=False)
    quarantined = products[sides == QUARANTINED]
    summary: dict[str, object] = {side: _counts(part) for side, part in parts.items()}
    summary |= {"quarantined": _quarantine(quarantined), "corrections": merged.counts()}
    report.parent.mkdir(parents=True, exist_ok=True)
    report.write_text(json.dumps(summary, indent=2, sort_keys=True) + "\n")
    return len(parts["train"])


def _merged(parts: dict[str, pd.DataFrame], corrections: Path | None) -> MergeResult:
    if corrections is None:
        return MergeResult(parts["train"], ())
    return merge(parts["train"], pd.read_parquet(corrections), known_splits(parts))


def _kept(folder: Path | None) -> dict[str, str]:
    if folder is None:
        return {}
    missing = [side for side in SPLITS if not (folder / f"{side}.parquet").is_file()]
    if missing:
        raise CatalogueError(f"{str(folder)!r} has no {missing[0]}.parquet whose sides could be kept")
    return known_splits({side: pd.read_parquet(folder / f"{side}.parquet") for side in SPLITS})


def _counts(part: pd.DataFrame) -> dict[str, object]:
    return {
        "products": len(part),
        "with_photo": int((part["image_path"] != "").sum()),
        "with_designation": int((part["designation"] != "").sum()),
        "by_code": {str(code): int(count) for code, count in part["code"].value_counts().sort_index().items()},
    }


def _quarantine(part: pd.DataFrame) -> dict[str, object]:
    return {
        "products": len(part),
        "reason": "text and photo are known from two different sides",
        "product_ids": [int(product) for product in part["product_id"]],
    }
