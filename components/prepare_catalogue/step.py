"""Read the raw files into a table of products, with their taxonomy."""

import json
from collections import Counter
from pathlib import Path

from components.prepare_catalogue.newest_codes import NewestCodes
from components.prepare_catalogue.product_tables import ProductCounts, ProductWriter
from components.shared import progress
from components.shared.url_photos import UrlPhotos
from product_classifier.catalogue.catalogue_layouts import find_layout
from product_classifier.catalogue.catalogue_rows import RejectedRow, check_reject_share
from product_classifier.catalogue.catalogue_tables import rejects_table
from product_classifier.catalogue.challenge.challenge_source import ChallengeSource
from product_classifier.catalogue.layout_source import LayoutSource
from product_classifier.catalogue.photo_checks import check_photos
from product_classifier.catalogue.photo_downloads import DownloadLimits
from product_classifier.taxonomy.folder import FOLDER, write_taxonomy


def run(
    raw: Path,
    catalogue: Path,
    rejects: Path,
    report: Path,
    max_reject_share: float = 0.05,
    jobs: int = 0,
    unlabelled: Path | None = None,
    taxonomy: Path | None = None,
    layout: Path | None = None,
    store: str = "",
    photos: Path | None = None,
    private_photos: bool = False,
) -> str:
    """Write `catalogue` (parquet), `rejects` (CSV) and `report` (JSON); return the data revision.

    The rejects are written even if their share is too high, so that their rows can be corrected. Products are written
    as they are read; memory is needed for their ids only.

    Args:
        raw: Folder of the raw files, with `catalogue.yaml` or in the layout of the challenge.
        catalogue: Usable products with a category; `image_path` is relative to `raw`.
        rejects: Unusable rows and unusable photos with line, field, value and reason.
        report: Numbers of products, rejected rows and dropped photos.
        max_reject_share: Largest share of rows that may be unusable.
        jobs: Threads that check photos; 0 for one per processor.
        unlabelled: Products without a category; left out by default.
        taxonomy: Folder for the taxonomy; by default `taxonomy` beside `catalogue`.
        layout: Layout file; by default `catalogue.yaml` in `raw`.
        store: URL of the object store with the changes of the taxonomy and photos by URL; empty for none.
        photos: Folder for photos by URL; by default one of this machine.
        private_photos: Whether photos may have URLs with private addresses.

    Raises:
        CatalogueError: If too many rows are unusable, there are none, or the layout does not fit the files.
    """
    for path in (catalogue, rejects, report, *filter(None, [unlabelled])):
        path.parent.mkdir(parents=True, exist_ok=True)
    found = find_layout(raw, layout)
    source = ChallengeSource(raw) if found is None else LayoutSource(raw, found)
    on_progress, integers = progress.on_stderr(), found is None
    codes = NewestCodes(store)
    counts, without_category, rejected = ProductCounts(), 0, list[RejectedRow]()
    incomplete = catalogue.with_name(f".{catalogue.name}.incomplete")
    try:
        with (
            ProductWriter(incomplete, integers=integers) as labelled,
            ProductWriter(unlabelled or incomplete.with_suffix(".unlabelled"), integers=integers) as others,
        ):
            by_url = UrlPhotos(store, photos, DownloadLimits(private_addresses=private_photos))
            rows = by_url.locate(source.rows(on_progress), source.photo_field, on_progress)
            for found_row in check_photos(
                rows, [by_url.folder, raw], source.photo_field, progress=on_progress, jobs=jobs
            ):
                if isinstance(found_row, RejectedRow):
                    rejected.append(found_row)
                elif (row := codes.read(found_row)).code == "":
                    others.add(row)
                    without_category += 1
                else:
                    counts.add(row)
                    labelled.add(row)
        rejected.sort(key=lambda reject: (reject.file, reject.line))
        rejects_table(rejected).to_csv(rejects, index=False)
        check_reject_share(rejected, counts.products + without_category, max_reject_share)
        write_taxonomy(taxonomy or catalogue.parent / FOLDER, codes.taxonomy(source.taxonomy()))
        incomplete.rename(catalogue)
    finally:
        incomplete.unlink(missing_ok=True)
        incomplete.with_suffix(".unlabelled").unlink(missing_ok=True)
    _write_report(report, counts, rejected, without_category)
    return counts.revision.hexdigest()


def write_layout(text: str, path: Path) -> Path | None:
    """Write the text of a layout file, as a pipeline passes it; return its path, None without a text."""
    if not text:
        return None
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text(text, encoding="utf-8")
    return path


def _write_report(path: Path, counts: ProductCounts, rejected: list[RejectedRow], unlabelled: int) -> None:
    rows = [reject for reject in rejected if not reject.product_kept]
    summary = {
        "data_revision": counts.revision.hexdigest(),
        "rejected": len(rows),
        **counts.report(),
        "dropped_photos": len(rejected) - len(rows),
        "rejected_by_field": dict(Counter(reject.field for reject in rows)),
    }
    if unlabelled:
        summary["unlabelled"] = unlabelled
    path.write_text(json.dumps(summary, indent=2, sort_keys=True) + "\n", encoding="utf-8")
