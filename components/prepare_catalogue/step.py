"""Read the raw files into one table of products."""

import json
from pathlib import Path

import pandas as pd

from components.shared import progress
from product_classifier.catalogue.products import (
    check_reject_share,
    data_revision,
    read_catalogue,
    rejects_table,
)
from product_classifier.taxonomy import CHALLENGE
from product_classifier.text.normalization import has_words


def run(raw: Path, catalogue: Path, rejects: Path, report: Path, max_reject_share: float = 0.05, jobs: int = 0) -> str:
    """Write `catalogue` (parquet), `rejects` (CSV) and `report` (JSON); return the data revision.

    The rejects are written even if there are more of them than allowed and the step stops: they say what to mend.
    """
    products, refused = read_catalogue(raw, CHALLENGE, progress=progress.on_stderr(), jobs=jobs)
    for path in (catalogue, rejects, report):
        path.parent.mkdir(parents=True, exist_ok=True)
    rejects_table(refused).to_csv(rejects, index=False)
    check_reject_share(refused, len(products), max_reject_share)
    revision = data_revision(products)
    products.to_parquet(catalogue, index=False)
    summary = {"data_revision": revision, "rejected": len(refused), **_counts(products)}
    summary["rejected_by_field"] = rejects_table(refused)["field"].value_counts().to_dict()
    report.write_text(json.dumps(summary, indent=2, sort_keys=True) + "\n")
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
