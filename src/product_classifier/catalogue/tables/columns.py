"""Resolve the columns that a layout names against the header of a table."""

import difflib
import unicodedata
from collections.abc import Sequence
from typing import Final

from product_classifier.catalogue.layout import CatalogueLayout, Column
from product_classifier.catalogue.tables.table import Table
from product_classifier.errors import CatalogueError

_LISTED: Final = 20


class ColumnPositions:
    """Positions of the columns of a layout in one table."""

    def __init__(self, layout: CatalogueLayout, table: Table, *, labelled: bool = True) -> None:
        """Resolve every column; those of the category and the group only where products are `labelled`.

        Raises:
            CatalogueError: If a column is not there, is there twice or holds records.
        """
        columns = layout.columns
        category = columns.category if isinstance(columns.category, list) else [columns.category]
        self.category = [_resolve(one, "category", table) for one in category] if labelled else []
        self.extra = [_resolve(one, "extra", table) for one in columns.extra]
        self.id, self.designation, self.description, self.image, self.group = (
            None if column is None else _resolve(column, name, table)
            for name, column in (
                ("id", columns.id),
                ("designation", columns.designation),
                ("description", columns.description),
                ("image", columns.image),
                ("group", columns.group if labelled else None),
            )
        )


def _resolve(column: Column, role: str, table: Table) -> int:
    where = f"{table.file}, columns.{role}"
    if isinstance(column, int):
        if column >= len(table.columns):
            last = len(table.columns) - 1
            raise CatalogueError(f"{where}: has no position {column}; positions are 0 to {last}{_named(table)}")
        position = column
    else:
        position = _find(column, where, table)
    if table.columns[position] in table.nested:
        raise CatalogueError(
            f"{where}: column {table.columns[position]!r} holds records (nested); write their field as a column of text"
        )
    return position


def _find(column: str, where: str, table: Table) -> int:
    if not table.has_header:
        raise CatalogueError(
            f"{where}: the file has no header, so {column!r} names no column; give its position from 0"
            f" to {len(table.columns) - 1}"
        )
    positions = [at for at, name in enumerate(table.columns) if name == column]
    if len(positions) == 1:
        return positions[0]
    if positions:
        places = " and ".join(map(str, positions))
        raise CatalogueError(f"{where}: column {column!r} is there {len(positions)} times; give its position, {places}")
    near = near_names(column, table.columns)
    hint = f"write {' or '.join(map(repr, near))}" if near else "name one of them, or set `delimiter:`"
    raise CatalogueError(f"{where}: there is no column {column!r}; {hint}{_named(table)}")


def near_names(name: str, candidates: Sequence[str], count: int = 3) -> list[str]:
    """Return the candidates that equal a name without case, accents and blanks, else similar ones."""
    folded: dict[str, list[str]] = {}
    for candidate in candidates:
        folded.setdefault(fold(candidate), []).append(candidate)
    if equal := folded.get(fold(name)):
        return equal[:count]
    matches = difflib.get_close_matches(fold(name), list(folded), n=count, cutoff=0.6)
    return [folded[match][0] for match in matches]


def fold(name: str) -> str:
    """Return a name without case, accents, blanks and punctuation."""
    decomposed = unicodedata.normalize("NFKD", name.casefold())
    return "".join(character for character in decomposed if character.isalnum())


def _named(table: Table) -> str:
    if not table.has_header:
        return ""
    listed = ", ".join(repr(name[:40]) for name in table.columns[:_LISTED])
    return f" (columns: {listed}{' …' if len(table.columns) > _LISTED else ''})"
