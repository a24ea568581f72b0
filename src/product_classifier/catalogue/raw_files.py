"""Locate the files of the Rakuten challenge and read their rows with line numbers."""

import csv
import os
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Final

from product_classifier.catalogue.encodings import decode_lines
from product_classifier.errors import CatalogueError
from product_classifier.limits import CSV_FIELD_BYTES

PRODUCT_FILES: Final = ("X_train_update.csv", "X_train.csv", "X_data.csv")
LABEL_FILES: Final = ("Y_train_CVw08PX.csv", "Y_train_update.csv", "Y_train.csv", "Y_data.csv")
PHOTO_FOLDERS: Final = ("images/image_train", "images/images/image_train", "image_train", "images")
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
    return RawFiles(products, labels, _find_photos(folder))


def read_rows(path: Path, columns: Sequence[str]) -> Iterator[RawRow]:
    """Yield the rows of a CSV file, malformed rows with their problem.

    The row number is in the field `INDEX`; without such a column rows are counted from 0.

    Raises:
        CatalogueError: If the file cannot be read or lacks one of `columns`.
    """
    lines = _LineReader(list(decode_lines(_read_bytes(path))))
    header, _ = lines.record()
    names = _parse_header(path, header, columns)
    count = 0
    while not lines.finished:
        start = lines.position
        record, problem = lines.record(len(names))
        if not record and not problem:
            continue
        fields = dict(zip(names, record, strict=False))
        if INDEX not in names:
            fields[INDEX] = str(count)
        elif problem:
            fields[INDEX] = lines.text(start).partition(",")[0]
        count += 1
        yield RawRow(start + 1, fields, problem)


class _LineReader:
    """A CSV reader that resumes at the line after a malformed record."""

    def __init__(self, lines: list[str]) -> None:
        csv.field_size_limit(CSV_FIELD_BYTES)
        self._lines = lines
        self.position = 0
        self._reader = csv.reader(self, strict=True)

    def __iter__(self) -> Iterator[str]:
        return self

    def __next__(self) -> str:
        if self.finished:
            raise StopIteration
        self.position += 1
        return self._lines[self.position - 1]

    @property
    def finished(self) -> bool:
        return self.position >= len(self._lines)

    def text(self, position: int) -> str:
        """Return one line as it is in the file."""
        return self._lines[position]

    def record(self, width: int = 0) -> tuple[list[str], str]:
        """Return the next record and its problem.

        After a problem reading resumes one line after the start of the record, so that an unclosed quote does not
        consume the rest of the file.
        """
        start = self.position
        try:
            record = next(self._reader, [])
            problem = f"{len(record)} fields instead of {width}" if record and width and len(record) != width else ""
        except csv.Error as error:
            record, problem = [], f"not a CSV row: {error}"
        if problem:
            self.position = start + 1
            self._reader = csv.reader(self, strict=True)
        return record, problem


def _parse_header(path: Path, header: list[str], expected: Sequence[str]) -> list[str]:
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


def _read_bytes(path: Path) -> bytes:
    try:
        return path.read_bytes()
    except OSError as error:
        raise CatalogueError(f"{str(path)!r} cannot be read: {error.strerror}") from error


def _first_file(folder: Path, names: Sequence[str]) -> Path | None:
    return next((folder / name for name in names if (folder / name).is_file()), None)


def _find_photos(folder: Path) -> dict[str, Path]:
    photos: dict[str, Path] = {}
    for place in PHOTO_FOLDERS:
        if not (folder / place).is_dir():
            continue
        # One listing instead of one stat per product: the challenge has 85,000 photos.
        for entry in os.scandir(folder / place):
            stem, _, suffix = entry.name.rpartition(".")
            if suffix.lower() in PHOTO_SUFFIXES:
                photos.setdefault(stem, Path(entry.path))
    return photos
