"""What every format of a table offers to its readers."""

from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from typing import NamedTuple


class TableRow(NamedTuple):
    """One row of a table: text cells, `None` where a cell has no value."""

    line: int
    """Line of a text file, row of a spreadsheet, or number of the record from 1."""
    cells: Sequence[str | None]
    problem: str = ""
    """Why the row cannot be used; its cells are then incomplete."""


@dataclass(frozen=True)
class Table:
    """A table of one file. `rows()` reads the file anew and holds a bounded part of it in memory."""

    file: str
    """Name of the file for messages."""
    columns: tuple[str, ...]
    """Names in the header; without a header, the positions from 0."""
    has_header: bool
    rows: Callable[[], Iterator[TableRow]]
    format: str = ""
    """Format, encoding and delimiter in words, for reports."""
    nested: frozenset[str] = frozenset()
    """Columns whose cells are records and cannot be read as text."""
