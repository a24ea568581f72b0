"""Split the catalogue into the products to train on, calibrate on, evaluate on and simulate with."""

import json
from pathlib import Path

import pandas as pd

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
    """Write the four sides (parquet) and `report` (JSON); return the number of products to train on.

    A stable hash of the content decides the side, so near duplicates share a side and added rows move no product.

    Args:
        catalogue: Products to split (parquet).
        train: Products to train on.
        validation: Products to calibrate on.
        test: The frozen hold-out of the gate.
        unseen: Products of the simulation.
        report: Number of products by side and category, and the quarantined products.
        share_train: Share of the groups of near duplicates in `train`.
        share_validation: Share in `validation`.
        share_test: Share in `test`.
        share_unseen: Share in `unseen`.
        keep: Folder with an earlier split; its products keep their sides in whatever order the rows come.

    Raises:
        CatalogueError: If no product is left to train on, or `keep` lacks a file.
    """
    products = pd.read_parquet(catalogue)
    shares = SplitShares(share_train, share_validation, share_test, share_unseen)
    sides = assign_splits(products, shares, _earlier_sides(keep))
    parts = {side: products[sides == side].reset_index(drop=True) for side in SPLITS}
    if parts["train"].empty:
        raise CatalogueError(f"{len(products)} products leave none to train on; add products or raise share_train")
    for side, path in zip(SPLITS, (train, validation, test, unseen), strict=True):
        path.parent.mkdir(parents=True, exist_ok=True)
        parts[side].to_parquet(path, index=False)
    summary: dict[str, object] = {side: _counts(part) for side, part in parts.items()}
    summary["quarantined"] = _quarantine(products[sides == QUARANTINED])
    report.parent.mkdir(parents=True, exist_ok=True)
    report.write_text(json.dumps(summary, indent=2, sort_keys=True) + "\n", encoding="utf-8")
    return len(parts["train"])


def _earlier_sides(folder: Path | None) -> dict[str, str]:
    if folder is None:
        return {}
    missing = [side for side in SPLITS if not (folder / f"{side}.parquet").is_file()]
    if missing:
        raise CatalogueError(
            f"keep={str(folder)!r}: {missing[0]}.parquet is missing; name a folder with all four sides"
        )
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
        "reason": "text and photo belong to groups on two different sides",
        "product_ids": [int(product) for product in part["product_id"]],
    }
