"""Read the files of a catalogue into one table of products and a list of rejected rows."""

from collections.abc import Callable
from pathlib import Path

import pandas as pd

from product_classifier.catalogue.catalogue_rows import (
    COLUMNS,
    CatalogueRow,
    Progress,
    RejectedRow,
    check_reject_share,
)
from product_classifier.catalogue.catalogue_tables import data_revision, rejects_table
from product_classifier.catalogue.challenge.challenge_source import ChallengeSource
from product_classifier.catalogue.photo_checks import check_photos

__all__ = [
    "COLUMNS",
    "CatalogueRow",
    "Progress",
    "RejectedRow",
    "check_reject_share",
    "data_revision",
    "read_catalogue",
    "rejects_table",
]


def read_catalogue(
    folder: Path,
    *,
    check_photo: Callable[[bytes], bytes] | None = None,
    progress: Progress = lambda _task, _done, _total: None,
    jobs: int = 0,
) -> tuple[pd.DataFrame, list[RejectedRow]]:
    """Read a raw folder of any layout of the challenge.

    Args:
        folder: Folder with the raw files.
        check_photo: Returns the bytes of the picture or raises `InvalidImage`; by default the decoder of the models.
        progress: Called while rows are read and photos are checked.
        jobs: Threads that check photos; 0 for one per processor.

    Returns:
        The usable products as a table with the columns of `CatalogueRow`, in the order of the file, and the rejected
        rows, sorted by file and line. A photo that cannot be used costs the photo: its product is kept if it has text,
        and is in both.

    Raises:
        CatalogueError: If a file or a column is missing.
    """
    source = ChallengeSource(folder)
    products: list[CatalogueRow] = []
    rejects: list[RejectedRow] = []
    for row in check_photos(source.rows(progress), [folder], source.photo_field, check_photo, progress, jobs):
        if isinstance(row, CatalogueRow):
            products.append(row)
        else:
            rejects.append(row)
    frame = pd.DataFrame(products, columns=list(COLUMNS))
    dtypes = {"product_id": "int64", "line": "int64"}
    return frame.astype(dtypes), sorted(rejects, key=lambda reject: (reject.file, reject.line))
