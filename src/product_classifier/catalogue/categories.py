"""Read the cells of the category column into codes, and collect the tree of categories they make."""

import json
import re
import unicodedata
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field
from typing import Final

from product_classifier.catalogue.category_labels import CategoryLabels
from product_classifier.catalogue.layout import CatalogueLayout
from product_classifier.catalogue.tables.columns import near_names
from product_classifier.errors import CatalogueError

PATH_SEPARATOR: Final = " > "
"""Joins the parts of a path into its code."""
MAX_CATEGORIES: Final = 100_000
"""More categories than any taxonomy has: the column is a mistake."""

_INTEGER: Final = re.compile(r"0|-?[1-9]\d{0,17}", re.ASCII)
_SCIENTIFIC: Final = re.compile(r"\d+(?:[.,]\d+)?E\+\d+", re.ASCII)
"""A number as spreadsheets show it: 3,80E+09."""
_SHOWN: Final = 60


@dataclass(frozen=True, slots=True)
class Place:
    """Where a value is, for messages."""

    file: str
    line: int
    column: str

    def __str__(self) -> str:
        return f"{self.file} line {self.line}, column {self.column}"


@dataclass(slots=True)
class CategoryCount:
    """A code found in the products: its path, where it is first, and how many products have it."""

    path: tuple[str, ...]
    first: Place
    products: int = 0


class UnusableCell(ValueError):
    """The cell of a category cannot be used; its row is rejected with this reason."""


@dataclass(slots=True)
class CategoryCells:
    """Turns cells into codes, and counts them.

    Raises `CatalogueError` where a whole column is wrong, and `UnusableCell` where one cell is.
    """

    layout: CatalogueLayout
    labels: CategoryLabels | None = None
    counts: dict[str, CategoryCount] = field(default_factory=dict)
    shorter: int = 0
    """Products whose path has fewer parts than `level`."""
    _variants: dict[str, str] = field(default_factory=dict)
    """Codes by their form without case, blanks and quotes."""

    def read(self, cells: Sequence[str | None], place: Place) -> str:
        """Return the code of a row, empty without a category; count it."""
        path = self._path(cells)
        if not path:
            return ""
        code = PATH_SEPARATOR.join(path)
        if self.labels is not None:
            code = self._known(code, place)
        self._count(code, path, place)
        return code

    def _path(self, cells: Sequence[str | None]) -> tuple[str, ...]:
        level, separator = self.layout.category.level, self.layout.category.separator
        parts = [clean(first_of_list(cell)) for cell in cells]
        if len(cells) == 1 and separator:
            parts = [clean(part) for part in f" {parts[0]} ".split(separator)]
        while parts and not parts[-1]:
            parts.pop()
        if "" in parts:
            raise UnusableCell("the path has an empty part")
        if level is not None and 0 < len(parts) < level:
            self.shorter += 1
        return tuple(parts[:level])

    def _known(self, code: str, place: Place) -> str:
        """Return the code of the labels file that a cell means."""
        labels = self.labels
        if labels is None or code in labels:
            return code
        if (by_name := labels.code_of_name(code)) is not None:
            return by_name
        if (padded := labels.code_with_zeros(code)) is not None:
            raise CatalogueError(
                f"{place}: category {code!r} lost its leading zeros, {labels.file} has {padded!r}; write the codes as"
                " text and export the file again"
            )
        near = near_names(code, labels.codes, 2)
        raise UnusableCell(f"unknown category code{f', did you mean {near[0]!r}?' if near else ''}")

    def _count(self, code: str, path: tuple[str, ...], place: Place) -> None:
        found = self.counts.get(code)
        if found is None:
            self._check_new(code, path, place)
            found = self.counts[code] = CategoryCount(path, place)
        elif found.path != path and self.labels is None:
            raise CatalogueError(
                f"{place}: the parts {path} and {found.path} of {found.first} make the same code {code!r}; rename one"
            )
        found.products += 1

    def _check_new(self, code: str, path: tuple[str, ...], place: Place) -> None:
        if self.layout.codes == "integer" and not _INTEGER.fullmatch(code):
            raise UnusableCell("not an integer without leading zeros, and the catalogue has `codes: integer`")
        if _SCIENTIFIC.fullmatch(code):
            raise scientific_notation(place, code)
        if len(self.counts) >= MAX_CATEGORIES:
            raise CatalogueError(
                f"{place}: has more than {MAX_CATEGORIES:,} different categories; it looks like an id, name the column"
                " of the category in `columns.category`, or set `category.level`"
            )
        if self.labels is None:
            for depth in range(1, len(path) + 1):
                self._check_variant(PATH_SEPARATOR.join(path[:depth]), place)

    def _check_variant(self, code: str, place: Place) -> None:
        other = self._variants.setdefault(_folded(code), code)
        if other != code:
            raise CatalogueError(
                f"{place}: category {shorten_code(code)} differs only by case, blanks or quotes from"
                f" {shorten_code(other)}{self._first(other)}; write both in one way, or give a `labels` file that"
                " has both codes"
            )

    def _first(self, code: str) -> str:
        found = self.counts.get(code)
        return f" of line {found.first.line}" if found else ""


def scientific_notation(place: Place, value: str) -> CatalogueError:
    """Return the error for a number that a spreadsheet shortened."""
    return CatalogueError(
        f"{place}: {value!r} is in scientific notation, digits are lost; format the column as text in the spreadsheet"
        " and export the file again"
    )


def is_scientific(value: str) -> bool:
    """Return whether a text is a number that a spreadsheet shortened, such as 3,80E+09."""
    return _SCIENTIFIC.fullmatch(value) is not None


def list_items(cell: str | None) -> Iterator[str]:
    """Yield the elements of a cell that is a JSON list, else the cell itself; nothing for an empty cell."""
    text = (cell or "").strip()
    if text.startswith("[") and text.endswith("]"):
        try:
            items = json.loads(text)
        except ValueError:
            items = [text]
        yield from (str(item).strip() for item in items if item is not None and str(item).strip())
    elif text:
        yield text


def first_of_list(cell: str | None) -> str:
    """Return the first element of a cell that is a JSON list, else the cell; empty without a value."""
    return next(list_items(cell), "")


def clean(text: str) -> str:
    """Return a code or a part of a path trimmed and in NFC."""
    return unicodedata.normalize("NFC", text).strip()


def _folded(code: str) -> str:
    return " ".join(code.casefold().replace('"', " ").replace("'", " ").split())


def shorten_code(value: str) -> str:
    """Return the representation of a code for a message, cut after 60 characters."""
    return repr(value if len(value) <= _SHOWN else value[:_SHOWN] + "…")
