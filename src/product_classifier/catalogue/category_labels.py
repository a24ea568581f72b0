"""Read the labels file of a catalogue: codes, parents, labels by language, synonyms, guidelines."""

import json
import re
import unicodedata
from collections.abc import Iterator
from dataclasses import dataclass, field
from pathlib import Path
from typing import Final

from product_classifier.catalogue.layout import CatalogueLayout
from product_classifier.catalogue.tables.table import Table
from product_classifier.catalogue.tables.table_files import open_table
from product_classifier.errors import CatalogueError

COLUMNS: Final = ("code", "parent", "synonyms", "guideline")

_LABEL: Final = re.compile(r"label(?:_([a-z]{2,3}(?:-[A-Za-z0-9]{2,8})*))?")


@dataclass(frozen=True, slots=True)
class LabelledCategory:
    """A row of the labels file."""

    code: str
    line: int
    parent: str = ""
    labels: dict[str, str] = field(default_factory=dict)
    """By language."""
    synonyms: tuple[str, ...] = ()
    guideline: str = ""


class CategoryLabels:
    """The categories of a labels file."""

    def __init__(self, path: Path, layout: CatalogueLayout) -> None:
        """Read the file.

        Raises:
            CatalogueError: If it cannot be read, a code is given twice, or a parent is missing, its own ancestor, or
                one of two.
        """
        self.file = path.name
        plain = CatalogueLayout.model_validate(
            {"products": [path.name], "columns": {"category": "code", "designation": "code"}}
        )
        table = open_table(path, plain)
        self.rows = {row.code: row for row in self._rows(table, (layout.languages or ["und"])[0])}
        if not self.rows:
            raise CatalogueError(f"{self.file}: has no categories; give one row for each code")
        self._check_parents()
        self._names = self._by_name()
        self._without_zeros = {code.lstrip("0"): code for code in self.rows if code.startswith("0")}

    def __contains__(self, code: object) -> bool:
        return code in self.rows

    @property
    def codes(self) -> list[str]:
        """All codes in the order of the file."""
        return list(self.rows)

    def code_of_name(self, name: str) -> str | None:
        """Return the code of the only category with this label, synonym or path of labels, else None."""
        found = self._names.get(_folded(name), set())
        return next(iter(found)) if len(found) == 1 else None

    def code_with_zeros(self, code: str) -> str | None:
        """Return the code that equals another one but for leading zeros."""
        return self._without_zeros.get(code)

    def path_of(self, code: str) -> tuple[str, ...]:
        """Return the codes from the root to a category."""
        found = [code]
        while parent := self.rows[found[-1]].parent:
            found.append(parent)
        return tuple(reversed(found))

    def _rows(self, table: Table, language: str) -> Iterator[LabelledCategory]:
        names = [name.strip() for name in table.columns]
        if "code" not in names:
            raise CatalogueError(f"{self.file}: there is no column 'code'; name the column with the codes `code`")
        unknown = [name for name in names if name and name not in COLUMNS and not _LABEL.fullmatch(name)]
        if unknown:
            raise CatalogueError(
                f"{self.file}: column {unknown[0]!r} is not known; use code, parent, label_<language>, synonyms or"
                " guideline"
            )
        seen: dict[str, LabelledCategory] = {}
        for row in table.rows():
            if row.problem:
                raise CatalogueError(f"{self.file} line {row.line}: {row.problem}; correct the row")
            cells = {name: _clean(cell) for name, cell in zip(names, row.cells, strict=True)}
            code, parent = cells["code"], cells.get("parent", "")
            if not code:
                raise CatalogueError(f"{self.file} line {row.line}, column 'code': is empty; give each category a code")
            if len(parents := _items(parent)) > 1 or (code in seen and seen[code].parent != parent):
                both = parents if len(parents) > 1 else (seen[code].parent, parent)
                raise CatalogueError(
                    f"{self.file} line {row.line}, column 'parent': {code!r} has two parents, {both[0]!r} and"
                    f" {both[1]!r}; keep one"
                )
            if code in seen:
                raise CatalogueError(
                    f"{self.file} line {row.line}, column 'code': {code!r} is given in line {seen[code].line} too;"
                    " delete one row"
                )
            labels = {
                found[1] or language: cells[name] for name in names if (found := _LABEL.fullmatch(name)) and cells[name]
            }
            seen[code] = LabelledCategory(
                code, row.line, parent, labels, tuple(_items(cells.get("synonyms", ""))), cells.get("guideline", "")
            )
            yield seen[code]

    def _check_parents(self) -> None:
        for row in self.rows.values():
            where = f"{self.file} line {row.line}, column 'parent'"
            if row.parent and row.parent not in self.rows:
                zeros = {code.lstrip("0"): code for code in self.rows}.get(row.parent.lstrip("0"))
                hint = f"did you mean {zeros!r}? correct it" if zeros else "add its row, or leave the cell empty"
                raise CatalogueError(f"{where}: {row.code!r} has the parent {row.parent!r}, which has no row; {hint}")
        rooted: set[str] = set()
        for row in self.rows.values():
            chain: dict[str, None] = {}
            code = row.code
            while code and code not in rooted:
                if code in chain:
                    cycle = " → ".join([*list(chain)[list(chain).index(code) :], code])
                    line = self.rows[code].line
                    raise CatalogueError(
                        f"{self.file} line {line}, column 'parent': the parents of {code!r} make a cycle, {cycle};"
                        " correct one of them"
                    )
                chain[code] = None
                code = self.rows[code].parent
            rooted |= chain.keys()

    def _by_name(self) -> dict[str, set[str]]:
        names: dict[str, set[str]] = {}
        for row in self.rows.values():
            paths = []
            for language in row.labels:
                parts = [self.rows[one].labels.get(language, one) for one in self.path_of(row.code)]
                paths.append(" > ".join(parts))
            for name in {*row.labels.values(), *row.synonyms, *paths}:
                names.setdefault(_folded(name), set()).add(row.code)
        return names


def _items(cell: str) -> list[str]:
    """Return the values of a cell that is a JSON list or has values between `|`."""
    if cell.startswith("[") and cell.endswith("]"):
        try:
            return [_clean(str(one)) for one in json.loads(cell)]
        except ValueError:
            pass
    return [part for one in cell.split("|") if (part := _clean(one))]


def _clean(cell: str | None) -> str:
    return unicodedata.normalize("NFC", cell or "").strip()


def _folded(name: str) -> str:
    return " ".join(name.casefold().split())
