"""Locate the files of the Rakuten challenge and read their rows with line numbers."""

import os
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Final

from product_classifier.catalogue.tables.csv_records import CsvRecords
from product_classifier.catalogue.tables.table import TableRow
from product_classifier.catalogue.tables.text_encodings import MIXED, decoded_lines
from product_classifier.errors import CatalogueError

PRODUCT_FILES: Final = ("X_train_update.csv", "X_train.csv", "X_data.csv")
UNLABELLED_FILES: Final = ("X_test_update.csv", "X_test.csv")
PRODUCT_COLUMNS: Final = ("designation", "description", "productid", "imageid")
LABEL_FILES: Final = ("Y_train_CVw08PX.csv", "Y_train_update.csv", "Y_train.csv", "Y_data.csv")
PHOTO_FOLDERS: Final = ("images/image_train", "images/images/image_train", "image_train", "images")
UNLABELLED_PHOTO_FOLDERS: Final = ("images/image_test", "images/images/image_test", "image_test")
PHOTO_SUFFIXES: Final = ("jpg", "jpeg", "png")
INDEX: Final = ""
"""Name of the field with the row number, which joins products and labels."""

_INDEX_NAMES: Final = frozenset({"", "unnamed: 0", "index"})
_LISTED_NAMES: Final = 12


@dataclass(frozen=True, slots=True)
class RawFiles:
    """The files of one raw folder."""

    products: Path
    labels: Path
    photos: dict[str, Path]
    """Photos by file name without suffix: image_<imageid>_product_<productid>."""


@dataclass(frozen=True, slots=True)
class RawRow:
    """One record of a CSV file; `problem` is empty if it could be parsed."""

    line: int
    fields: dict[str, str]
    problem: str = ""


def first_product_file(folder: Path) -> Path | None:
    """Return the product file of a folder, labelled or not; None if there is none."""
    return _first_file(folder, (*PRODUCT_FILES, *UNLABELLED_FILES))


def has_product_columns(path: Path) -> bool:
    """Return whether a file is CSV with the product columns of the challenge."""
    if path.suffix.lower() != ".csv":
        return False
    first = next(CsvRecords(decoded_lines(path, MIXED)), None)
    names = {str(cell or "").strip().lower() for cell in first.cells} if first else set()
    return set(PRODUCT_COLUMNS) <= names


def is_challenge(folder: Path) -> bool:
    """Return whether a folder holds product and label files in the layout of the challenge."""
    return _first_file(folder, PRODUCT_FILES) is not None and _first_file(folder, LABEL_FILES) is not None


def find_files(folder: Path) -> RawFiles:
    """Locate products, labels and photos in a raw folder of any accepted layout.

    Raises:
        CatalogueError: If the folder, the product file or the label file is missing.
    """
    if not folder.is_dir():
        raise CatalogueError(f"raw data folder {str(folder)!r} does not exist")
    products, labels = _first_file(folder, PRODUCT_FILES), _first_file(folder, LABEL_FILES)
    if products is None or labels is None:
        expected = PRODUCT_FILES if products is None else LABEL_FILES
        found = sorted(entry.name for entry in folder.iterdir())
        listed = ", ".join(found[:_LISTED_NAMES]) + (" …" if len(found) > _LISTED_NAMES else "")
        raise CatalogueError(f"{str(folder)!r} has none of {', '.join(expected)}; it holds: {listed or 'nothing'}")
    return RawFiles(products, labels, find_photos(folder))


def read_rows(path: Path, columns: Sequence[str]) -> Iterator[RawRow]:
    """Yield the rows of a CSV file, malformed rows with their problem.

    The row number is in the field `INDEX`; without such a column rows are counted from 0.

    Raises:
        CatalogueError: If the file cannot be read or lacks one of `columns`.
    """
    if not path.is_file():
        raise CatalogueError(f"{str(path)!r} cannot be read: there is no such file")
    records = CsvRecords(decoded_lines(path, MIXED))
    names = _parse_header(path, next(records, None), columns)
    for count, row in enumerate(records):
        problem = row.problem
        if not problem and len(row.cells) != len(names):
            problem = f"{len(row.cells)} fields instead of {len(names)}"
            row = records.reject(row, problem)  # noqa: PLW2901 - the same row
        cells = [cell or "" for cell in row.cells]
        fields = {INDEX: cells[0].partition(",")[0]} if problem else dict(zip(names, cells, strict=True))
        if INDEX not in names:
            fields[INDEX] = str(count)
        yield RawRow(row.line, fields, problem)


def _parse_header(path: Path, first: TableRow | None, expected: Sequence[str]) -> list[str]:
    header = [cell or "" for cell in first.cells] if first else []
    names = [name.strip().lower() for name in header]
    names = [INDEX if name in _INDEX_NAMES else name for name in names]
    missing = [column for column in expected if column not in names]
    if missing:
        found = ", ".join(repr(name[:40]) for name in header[:_LISTED_NAMES]) or "no header"
        raise CatalogueError(f"{path.name} lacks the column {', '.join(map(repr, missing))}; it has {found}")
    twice = {name for name in names if names.count(name) > 1}
    if twice:
        raise CatalogueError(f"{path.name} has the column {', '.join(map(repr, sorted(twice)))} twice")
    return names


def _first_file(folder: Path, names: Sequence[str]) -> Path | None:
    return next((folder / name for name in names if (folder / name).is_file()), None)


def find_photos(folder: Path, places: Sequence[str] = PHOTO_FOLDERS) -> dict[str, Path]:
    """Return the photos in folders below `folder` by their names without suffix."""
    photos: dict[str, Path] = {}
    for place in places:
        if not (folder / place).is_dir():
            continue
        # One listing instead of one stat per product: the challenge has 85,000 photos.
        for entry in os.scandir(folder / place):
            stem, _, suffix = entry.name.rpartition(".")
            if suffix.lower() in PHOTO_SUFFIXES:
                photos.setdefault(stem, Path(entry.path))
    return photos
