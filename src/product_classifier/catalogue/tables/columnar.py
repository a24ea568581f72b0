"""Parquet files and Excel workbooks, every cell as text."""

from collections.abc import Iterator
from pathlib import Path
from typing import Final

import pyarrow as pa
from pyarrow import parquet
from python_calamine import CalamineError, CalamineWorkbook

from product_classifier.catalogue.layout import CatalogueLayout
from product_classifier.catalogue.tables.byte_streams import read_all
from product_classifier.catalogue.tables.cell_texts import cell_text
from product_classifier.catalogue.tables.table import Table, TableRow
from product_classifier.errors import CatalogueError

_BATCH_ROWS: Final = 4096


def open_parquet(path: Path) -> Table:
    """Open a Parquet file; a list of texts is one cell, a record cannot be read."""
    try:
        with read_all(path) as stream, parquet.ParquetFile(stream) as file:
            schema = file.schema_arrow
    except (pa.ArrowException, OSError) as error:
        reason = " ".join(str(error).split())[:160]
        raise CatalogueError(f"{path.name}: is not a Parquet file: {reason}; check the file") from error
    nested = frozenset(field.name for field in schema if _is_nested(field.type))

    def rows() -> Iterator[TableRow]:
        number = 0
        readable = [name for name in schema.names if name not in nested]
        with read_all(path) as stream, parquet.ParquetFile(stream) as file:
            for batch in file.iter_batches(_BATCH_ROWS, columns=readable):
                found = dict(zip(batch.schema.names, batch.columns, strict=True))
                columns = [
                    found[name].to_pylist() if name in found else [None] * batch.num_rows for name in schema.names
                ]
                for cells in zip(*columns, strict=True):
                    number += 1
                    yield TableRow(number, [cell_text(cell) for cell in cells])

    return Table(path.name, tuple(schema.names), True, rows, "Parquet", nested)


def open_excel(path: Path, layout: CatalogueLayout) -> Table:
    """Open the first sheet of an Excel or OpenDocument workbook, which is read into memory."""
    try:
        with read_all(path) as stream:
            workbook = CalamineWorkbook.from_filelike(stream)
            sheet = workbook.get_sheet_by_index(0)
            values = sheet.to_python(skip_empty_area=False)
    except (CalamineError, OSError, ValueError, IndexError) as error:
        raise CatalogueError(f"{path.name}: is not a readable workbook: {error}; save it as .xlsx or CSV") from error
    if not values:
        raise CatalogueError(
            f"{path.name}: its first sheet {sheet.name!r} is empty; move the products to the first sheet"
        )
    width = len(values[0])
    columns = [cell_text(cell) or "" for cell in values[0]] if layout.header else [str(at) for at in range(width)]

    def rows() -> Iterator[TableRow]:
        start = 1 if layout.header else 0
        for number, row in enumerate(values[start:], start + 1):
            cells = [cell_text(cell) for cell in row]
            if any(cells):
                yield TableRow(number, cells)

    return Table(path.name, tuple(columns), layout.header, rows, f"workbook, sheet {sheet.name!r}")


def _is_nested(kind: pa.DataType) -> bool:
    """Return whether values of a type are records, or lists of anything but plain values."""
    if pa.types.is_list(kind) or pa.types.is_large_list(kind) or pa.types.is_fixed_size_list(kind):
        return bool(pa.types.is_nested(kind.value_type))
    return bool(pa.types.is_nested(kind))
