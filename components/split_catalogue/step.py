"""Split the catalogue into the products to train on, calibrate on, evaluate on and simulate with."""

import json
from pathlib import Path

import pandas as pd

from product_classifier.catalogue.product_table import read_products
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
) -> int:
    """Write the four splits (parquet) and `report` (JSON); return the number of products to train on.

    A stable hash of the content decides the split, so near duplicates share a split and added rows move no product.

    Args:
        catalogue: Products to split (parquet).
        train: Products to train on.
        validation: Products to calibrate on.
        test: The frozen hold-out of the gate.
        unseen: Products of the simulation.
        report: Number of products by split and category, and the quarantined products.
        share_train: Share of the groups of near duplicates in `train`.
        share_validation: Share in `validation`.
        share_test: Share in `test`.
        share_unseen: Share in `unseen`.
        keep: Folder with an earlier split; its products keep their splits in whatever order the rows come.

    Raises:
        CatalogueError: If no product is left to train on, or `keep` lacks a file.
    """
    products = read_products(catalogue)
    shares = SplitShares(share_train, share_validation, share_test, share_unseen)
    splits = assign_splits(products, shares, _earlier_splits(keep))
    parts = {split: products[splits == split].reset_index(drop=True) for split in SPLITS}
    if parts["train"].empty:
        raise CatalogueError(f"{len(products)} products leave none to train on; add products or raise share_train")
    for split, path in zip(SPLITS, (train, validation, test, unseen), strict=True):
        path.parent.mkdir(parents=True, exist_ok=True)
        parts[split].to_parquet(path, index=False)
    summary: dict[str, object] = {split: _counts(part) for split, part in parts.items()}
    summary["quarantined"] = _quarantine(products[splits == QUARANTINED])
    report.parent.mkdir(parents=True, exist_ok=True)
    report.write_text(json.dumps(summary, indent=2, sort_keys=True) + "\n", encoding="utf-8")
    return len(parts["train"])


def _earlier_splits(folder: Path | None) -> dict[str, str]:
    if folder is None:
        return {}
    missing = [split for split in SPLITS if not (folder / f"{split}.parquet").is_file()]
    if missing:
        raise CatalogueError(
            f"keep={str(folder)!r}: {missing[0]}.parquet is missing; name a folder with all four splits"
        )
    return known_splits({split: read_products(folder / f"{split}.parquet") for split in SPLITS})


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
        "reason": "text and photo belong to groups in two different splits, or neither has a content key",
        "product_ids": part["product_id"].tolist(),
    }
