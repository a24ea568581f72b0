"""Find the files of a catalogue, and open each by its format."""

from pathlib import Path, PurePath
from typing import Final

from product_classifier.catalogue.layout import CatalogueLayout
from product_classifier.catalogue.tables.byte_streams import COMPRESSIONS, ZIP, uncompressed_name
from product_classifier.catalogue.tables.columnar import open_excel, open_parquet
from product_classifier.catalogue.tables.delimited import open_delimited
from product_classifier.catalogue.tables.json_lines import open_json_lines
from product_classifier.catalogue.tables.table import Table
from product_classifier.errors import CatalogueError

DELIMITED: Final = frozenset({".csv", ".tsv", ".txt", ".tab"})
PARQUET: Final = frozenset({".parquet", ".pq"})
JSON_LINES: Final = frozenset({".jsonl", ".ndjson"})
EXCEL: Final = frozenset({".xlsx", ".xls", ".xlsm", ".xlsb", ".ods"})
FORMATS: Final = DELIMITED | PARQUET | JSON_LINES | EXCEL

_LISTED: Final = 12


def find_table_files(folder: Path, patterns: list[str]) -> list[Path]:
    """Return the files of names and patterns below a folder, sorted within each, none twice.

    Raises:
        CatalogueError: If a pattern leaves the folder or matches no file.
    """
    found: dict[Path, None] = {}
    for pattern in patterns:
        if PurePath(pattern).is_absolute() or ".." in PurePath(pattern).parts:
            raise CatalogueError(f"products: {pattern!r} is outside of the folder; name a file below {str(folder)!r}")
        literal = folder / pattern
        matching = [literal] if literal.is_file() else sorted(path for path in folder.glob(pattern) if path.is_file())
        if not matching:
            raise CatalogueError(f"products: {pattern!r} matches no file; the folder has {list_files(folder)}")
        found |= dict.fromkeys(matching)
    return list(found)


def find_product_files(folder: Path, layout: CatalogueLayout) -> list[Path]:
    """Return the files of products of a layout; errors as of `find_table_files`."""
    paths = find_table_files(folder, layout.products)
    if layout.labels is None:
        return paths
    labels = find_table_files(folder, [layout.labels])[0]
    return [path for path in paths if path != labels] or paths


def open_table(path: Path, layout: CatalogueLayout) -> Table:
    """Open a table by the suffix of its name, compressed or not.

    Raises:
        CatalogueError: If the format is not known or the file cannot be read.
    """
    name = uncompressed_name(path).lower()
    suffix = PurePath(name).suffix
    if suffix in PARQUET:
        return open_parquet(path)
    if suffix in JSON_LINES:
        return open_json_lines(path, layout)
    if suffix in EXCEL:
        return open_excel(path, layout)
    if suffix in DELIMITED:
        return open_delimited(path, name, layout)
    raise CatalogueError(
        f"{path.name}: the format of {suffix or 'a name without suffix'!r} is not known; use .csv, .tsv, .parquet,"
        " .jsonl or .xlsx"
    )


def is_table(path: Path) -> bool:
    """Return whether the name of a file is that of a table, compressed or not."""
    suffixes = [suffix.lower() for suffix in path.suffixes[-2:]]
    if suffixes and suffixes[-1] in {ZIP, *COMPRESSIONS}:
        suffixes.pop()
    return bool(suffixes) and suffixes[-1] in FORMATS


def list_files(folder: Path) -> str:
    """Return the names in a folder for an error message."""
    names = sorted(entry.name for entry in folder.iterdir()) if folder.is_dir() else []
    return ", ".join(names[:_LISTED]) + (" …" if len(names) > _LISTED else "") or "nothing"
