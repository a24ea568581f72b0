"""Unpack and check a file of products that a user uploaded: CSV, or ZIP with CSV and photos."""

import os
import shutil
import stat
import zipfile
from collections.abc import Iterable
from dataclasses import dataclass
from pathlib import Path, PurePosixPath
from typing import Literal

from product_classifier.batches.batch_records import ColumnMapping, UploadProblem
from product_classifier.catalogue.catalogue_rows import RejectedRow
from product_classifier.catalogue.challenge.challenge_files import has_product_columns
from product_classifier.catalogue.layout import CatalogueLayout, ProductColumns
from product_classifier.catalogue.layout_file import FILE_NAME
from product_classifier.catalogue.tables.table_files import open_table
from product_classifier.errors import CatalogueError, InvalidInput
from product_classifier.limits import GIB, MIB
from product_classifier.scoring.source import open_source
from product_classifier.validation_messages import public_message

Kind = Literal["csv", "zip"]
CSV_NAME = "products.csv"
"""Name of the unpacked CSV."""
MAX_ENTRIES = 250_000
MAX_UNPACKED_BYTES = 4 * GIB
MAX_RATIO = 200
"""Times its packed size that a large entry may have; text has about 10, photos 1."""
RATIO_CHECKED_BYTES = 10 * MIB
LISTED_PROBLEMS = 100
_ENCRYPTED = 0x1
_NAMES = {
    "id": ("id", "product_id", "productid", "sku"),
    "designation": ("designation", "désignation", "title", "titre", "name", "nom"),
    "description": ("description",),
    "image": ("image", "photo", "image_path", "image_file", "photo_file"),
}
"""Column names that are known without a mapping, lower case."""


@dataclass(frozen=True, slots=True)
class CheckedFile:
    """What the check of a file found."""

    columns: ColumnMapping | None
    """None for the layout of the challenge."""
    rows: int
    rejected: int
    problems: tuple[UploadProblem, ...]


def check_file(path: Path, kind: Kind, columns: ColumnMapping, scratch: Path) -> CheckedFile:
    """Check every row of a file.

    Args:
        path: The file.
        kind: Its format.
        columns: The names of its columns; all empty to recognize them.
        scratch: Empty folder, for the CSV and empty files in place of the photos.

    Raises:
        InvalidInput: If it cannot be read, has no products, or its columns are not known.
    """
    unpack(path, kind, scratch, with_photos=False)
    mapping = write_layout(scratch, columns)
    rows = rejected = 0
    problems: list[UploadProblem] = []
    try:
        for row in open_source(scratch, CSV_NAME).rows():
            rows += 1
            if isinstance(row, RejectedRow):
                rejected += 1
                if len(problems) < LISTED_PROBLEMS:
                    problems.append(UploadProblem(line=row.line, field=row.field, value=row.value, reason=row.reason))
    except CatalogueError as error:
        raise InvalidInput(f"file: {str(error).removeprefix('SOURCE: ')}") from error
    if rejected == rows:
        first = f"the first is line {problems[0].line}: {problems[0].reason}" if problems else "it has no rows"
        raise InvalidInput(f"file: has no product; {first}")
    return CheckedFile(mapping, rows, rejected, tuple(problems))


def unpack(path: Path, kind: Kind, folder: Path, *, with_photos: bool) -> None:
    """Write the CSV of a file as `CSV_NAME` to a folder, and the photos beside it.

    Args:
        path: The file.
        kind: Its format.
        folder: An empty folder.
        with_photos: Whether photos have their content; otherwise they are empty files.

    Raises:
        InvalidInput: If the archive is damaged, encrypted, expands to too much, or names paths outside of it.
    """
    if kind == "csv":
        shutil.copyfile(path, folder / CSV_NAME)
        _fix_time(folder / CSV_NAME)
        return
    try:
        with zipfile.ZipFile(path) as archive:
            entries = [entry for entry in archive.infolist() if not entry.is_dir() and not _is_metadata(entry)]
            _check_entries(entries)
            table = _table_of(entries)
            for entry in entries:
                is_table = entry is table
                target = folder / (CSV_NAME if is_table else PurePosixPath(entry.filename))
                target.parent.mkdir(parents=True, exist_ok=True)
                if is_table or with_photos:
                    with archive.open(entry) as source, target.open("wb") as out:
                        shutil.copyfileobj(source, out, MIB)
                else:
                    target.touch()
            _fix_time(folder / CSV_NAME)
    except (zipfile.BadZipFile, zipfile.LargeZipFile, NotImplementedError, EOFError, OSError) as error:
        raise InvalidInput(f"file: is no ZIP archive that can be read: {public_message(str(error))}") from error


def write_layout(folder: Path, columns: ColumnMapping) -> ColumnMapping | None:
    """Write the layout of an unpacked file; return its columns, None for those of the challenge.

    Raises:
        InvalidInput: If a column is missing, or none is recognized.
    """
    path = folder / CSV_NAME
    given = {name: value for name, value in columns.model_dump().items() if value}
    try:
        if not given and has_product_columns(path):
            return None
        header = open_table(path, _layout({"designation": "0"})).columns
    except CatalogueError as error:
        raise InvalidInput(f"file: {error}") from error
    known = {name.strip().lower(): name for name in header}
    if not given:
        found = {field: next((known[name] for name in names if name in known), "") for field, names in _NAMES.items()}
        given = {field: name for field, name in found.items() if name}
    if missing := [name for name in given.values() if name not in header]:
        raise InvalidInput(f"file: has no column {missing[0]!r}; it has {_listed(header)}")
    if not given.keys() & {"designation", "image"}:
        raise InvalidInput(
            f"file: none of its columns is known as designation or image: {_listed(header)}; name them with the query"
            " parameters designation, description, image and id"
        )
    (folder / FILE_NAME).write_text(_layout(given).model_dump_json(exclude_none=True), encoding="utf-8")
    return ColumnMapping(**given)


def _layout(columns: dict[str, str]) -> CatalogueLayout:
    return CatalogueLayout(products=[CSV_NAME], columns=ProductColumns(category="category", **columns))


def _check_entries(entries: list[zipfile.ZipInfo]) -> None:
    if len(entries) > MAX_ENTRIES:
        raise InvalidInput(f"file: the archive has {len(entries):,} files; at most {MAX_ENTRIES:,} are accepted")
    if (size := sum(entry.file_size for entry in entries)) > MAX_UNPACKED_BYTES:
        raise InvalidInput(f"file: the archive expands to {size:,} bytes; at most {MAX_UNPACKED_BYTES:,} are accepted")
    for entry in entries:
        name = public_message(entry.filename)
        parts = PurePosixPath(entry.filename.replace("\\", "/")).parts
        if entry.filename.startswith("/") or ".." in parts or "\\" in entry.filename or ":" in parts[0]:
            raise InvalidInput(f"file: {name} is a path outside of the archive; remove it")
        if stat.S_ISLNK(entry.external_attr >> 16):
            raise InvalidInput(f"file: {name} is a symbolic link; put the file itself into the archive")
        if entry.flag_bits & _ENCRYPTED:
            raise InvalidInput(f"file: {name} is encrypted; make the archive without a password")
        if entry.file_size > max(RATIO_CHECKED_BYTES, MAX_RATIO * entry.compress_size):
            raise InvalidInput(
                f"file: {name} expands from {entry.compress_size:,} to {entry.file_size:,} bytes; at most"
                f" {MAX_RATIO} times its packed size is accepted"
            )


def _table_of(entries: Iterable[zipfile.ZipInfo]) -> zipfile.ZipInfo:
    tables = [entry for entry in entries if entry.filename.lower().endswith(".csv")]
    if len(tables) != 1:
        names = _listed([entry.filename for entry in tables])
        raise InvalidInput(f"file: the archive must have one CSV, it has {names or 'none'}")
    return tables[0]


def _is_metadata(entry: zipfile.ZipInfo) -> bool:
    """Return whether an entry is one that macOS adds."""
    return entry.filename.startswith("__MACOSX/") or entry.filename.endswith(".DS_Store")


def _fix_time(path: Path) -> None:
    """Set the time of a file to the same each time: a scoring job recognizes its source by it."""
    os.utime(path, (0, 0))


def _listed(names: Iterable[str]) -> str:
    return ", ".join(public_message(name) for name in list(names)[:12])
