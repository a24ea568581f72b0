"""Read the raw files into one table of products."""

import json
from pathlib import Path

import pandas as pd

from components.shared import progress
from product_classifier.catalogue.catalogue_reader import (
    check_reject_share,
    data_revision,
    read_catalogue,
    rejects_table,
)
from product_classifier.taxonomy import Taxonomy
from product_classifier.text.normalization import has_words


def run(
    raw: Path,
    catalogue: Path,
    rejects: Path,
    report: Path,
    taxonomy: Taxonomy,
    max_reject_share: float = 0.05,
    jobs: int = 0,
) -> str:
    """Write `catalogue` (parquet), `rejects` (CSV) and `report` (JSON); return the data revision.

    The rejects are written even if their share is too high, so that their rows can be corrected.

    Args:
        raw: Folder of the raw files.
        catalogue: Usable products; `image_path` is relative to `raw`.
        rejects: Unusable rows and unusable photos with line, field, value and reason.
        report: Numbers of products, rejected rows and dropped photos.
        taxonomy: Categories of the catalogue; rows with another code are rejected.
        max_reject_share: Largest share of rows that may be unusable.
        jobs: Threads that check photos; 0 for one per processor.

    Raises:
        CatalogueError: If too many rows are unusable, or there are none.
    """
    products, rejected = read_catalogue(raw, taxonomy, progress=progress.on_stderr(), jobs=jobs)
    for path in (catalogue, rejects, report):
        path.parent.mkdir(parents=True, exist_ok=True)
    rejects_table(rejected).to_csv(rejects, index=False)
    check_reject_share(rejected, len(products), max_reject_share)
    revision = data_revision(products)
    products.to_parquet(catalogue, index=False)
    rows = [reject for reject in rejected if not reject.product_kept]
    summary = {"data_revision": revision, "rejected": len(rows), **_counts(products)}
    summary["dropped_photos"] = len(rejected) - len(rows)
    summary["rejected_by_field"] = rejects_table(rows)["field"].value_counts().to_dict()
    report.write_text(json.dumps(summary, indent=2, sort_keys=True) + "\n", encoding="utf-8")
    return revision


def _counts(products: pd.DataFrame) -> dict[str, object]:
    photo = products["image_path"] != ""
    text = pd.Series(map(has_words, products["designation"], products["description"]), products.index, bool)
    return {
        "products": len(products),
        "with_text_and_photo": int((text & photo).sum()),
        "without_photo": int((~photo).sum()),
        "without_text": int((~text).sum()),
        "without_description": int((products["description"] == "").sum()),
        "by_code": {str(code): int(count) for code, count in products["code"].value_counts().sort_index().items()},
    }
