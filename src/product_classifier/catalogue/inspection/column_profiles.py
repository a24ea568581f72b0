"""Profiles of the columns of a table: how full, how varied and how long its values are."""

import re
from collections import Counter
from collections.abc import Iterable, Sequence
from dataclasses import dataclass, field
from pathlib import PurePosixPath
from typing import Final

from product_classifier.catalogue.categories import first_of_list
from product_classifier.catalogue.photo_folder import is_url
from product_classifier.catalogue.tables.table import TableRow

PHOTO_SUFFIXES: Final = frozenset({".jpg", ".jpeg", ".png", ".webp", ".avif", ".gif"})
SEPARATORS: Final = (" >> ", " > ", ">>", " / ", " | ", " » ", " › ", "|", ">", "/")
"""Separators of paths, of those that contain each other the longer one first."""

_NUMBER: Final = re.compile(r"[-+]?[\d.,\s]*\d(?:\s?[€$£%])?|[€$£]\s?[\d.,]*\d", re.ASCII)
_EXAMPLES: Final = 3
_MAX_DISTINCT: Final = 200_000


@dataclass(slots=True)
class ColumnProfile:
    """What the values of a column look like."""

    position: int
    name: str
    """Name in the header; empty without a header."""
    rows: int = 0
    filled: int = 0
    characters: int = 0
    words: int = 0
    numbers: int = 0
    photos: int = 0
    urls: int = 0
    lists: int = 0
    markup: int = 0
    first_run: int = 0
    """Rows whose value equals that of the row before."""
    values: Counter[str] = field(default_factory=Counter)
    with_separator: Counter[str] = field(default_factory=Counter)
    _last: str = ""

    def add(self, cell: str | None) -> None:
        """Count the value of one row."""
        self.rows += 1
        value = first_of_list(cell)
        if not value:
            return
        self.filled += 1
        self.lists += (cell or "").lstrip().startswith("[")
        self.characters += len(value)
        self.words += len(value.split())
        self.numbers += _NUMBER.fullmatch(value) is not None
        self.urls += is_url(value)
        path = value.partition("?")[0] if is_url(value) else value
        self.photos += len(value) < 400 and PurePosixPath(path).suffix.lower() in PHOTO_SUFFIXES
        self.markup += "</" in value or "<br" in value or "&nbsp;" in value
        self.first_run += value == self._last
        self._last = value
        if len(self.values) < _MAX_DISTINCT or value in self.values:
            self.values[value] += 1
        for separator in SEPARATORS:
            if separator in value:
                self.with_separator[separator] += 1

    @property
    def distinct(self) -> int:
        """Number of different values."""
        return len(self.values)

    @property
    def uniqueness(self) -> float:
        """Different values per filled row, 0 to 1."""
        return self.distinct / self.filled if self.filled else 0.0

    @property
    def mean_characters(self) -> float:
        """Characters of a value on average."""
        return self.characters / self.filled if self.filled else 0.0

    @property
    def mean_words(self) -> float:
        """Words of a value on average."""
        return self.words / self.filled if self.filled else 0.0

    def share(self, count: int) -> float:
        """Return a count as a share of the filled rows."""
        return count / self.filled if self.filled else 0.0

    def examples(self) -> list[str]:
        """Return some values, the commonest first."""
        return [value for value, _ in self.values.most_common(_EXAMPLES)]


def profile_columns(columns: Sequence[str], *, has_header: bool, rows: Iterable[TableRow]) -> list[ColumnProfile]:
    """Return a profile of each column; malformed rows do not count."""
    profiles = [ColumnProfile(at, name if has_header else "") for at, name in enumerate(columns)]
    for row in rows:
        if not row.problem:
            for profile, cell in zip(profiles, row.cells, strict=True):
                profile.add(cell)
    return profiles
