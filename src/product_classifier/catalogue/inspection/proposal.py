"""Propose a layout for the files of a folder."""

import re
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, replace
from itertools import islice
from pathlib import Path
from typing import Any, Final

import yaml

from product_classifier.catalogue.inspection.column_profiles import PHOTO_SUFFIXES, ColumnProfile, profile_columns
from product_classifier.catalogue.inspection.column_roles import ColumnRole, ColumnRoles, propose_roles
from product_classifier.catalogue.layout import CatalogueLayout
from product_classifier.catalogue.layout_file import SCHEMA_FILE
from product_classifier.catalogue.tables.columns import fold
from product_classifier.catalogue.tables.table import Table
from product_classifier.catalogue.tables.table_files import is_table, list_files, open_table
from product_classifier.errors import CatalogueError

PROFILED_ROWS: Final = 200_000
FEW_CATEGORIES: Final = 1000
SMALL_SHARE: Final = 0.02
"""Share of the products in categories under `minimum_products` from which it is lowered."""

_LABEL_COLUMNS: Final = re.compile(r"label(_[a-z]{2,3})?|parent|synonyms")
_STOP_WORDS: Final = {
    "en": {"the", "and", "with", "for", "of"},
    "fr": {"le", "la", "de", "et", "pour", "avec", "les", "des"},
    "de": {"der", "die", "und", "mit", "für", "das"},
    "es": {"el", "la", "de", "y", "para", "con", "los"},
    "it": {"il", "di", "e", "per", "con", "della"},
    "nl": {"de", "het", "en", "voor", "met", "van"},
    "pt": {"o", "de", "e", "para", "com", "da"},
}
"""Commonest words of a language; they only propose `languages`, which names the language of labels."""


@dataclass(frozen=True)
class Proposal:
    """A proposed layout, and what it was concluded from."""

    layout: CatalogueLayout
    table: Table
    roles: ColumnRoles
    profiles: list[ColumnProfile]
    unused: list[str]
    """Tables that have other columns than the proposed ones."""

    def yaml(self) -> str:
        """Return the text of `catalogue.yaml`, with the reason for each column as a comment."""
        values = self.layout.model_dump(exclude_unset=True)
        lines = [f"# yaml-language-server: $schema={SCHEMA_FILE.as_uri()}"]
        for key, value in values.items():
            if key == "columns":
                lines.append("columns:")
                lines += self._columns()
            else:
                lines.append(f"{key}: {_flow(value)}")
        return "\n".join(lines) + "\n"

    def for_sizes(self, sizes: Mapping[str, int]) -> "Proposal":
        """Return the proposal for these numbers of products by category.

        In a small catalogue with many small categories each is answered. Cross-validated on 548 products of 47
        categories, a minimum of 5 costs 0.054 of weighted F1 (0.787 instead of 0.841), because the products of the
        small ones are certain errors.
        """
        smallest = self.layout.category.minimum_products
        affected = sum(size for size in sizes.values() if size < smallest)
        if len(sizes) > FEW_CATEGORIES or affected <= SMALL_SHARE * sum(sizes.values()):
            return self
        values = self.layout.model_dump(exclude_unset=True)
        values["category"] = {**values.get("category", {}), "minimum_products": 1}
        return replace(self, layout=CatalogueLayout.model_validate(values))

    def _columns(self) -> Iterator[str]:
        for role, found in self.roles.roles.items():
            yield f"  {role}: {_flow(self._column(found))}  # {_comment(found)}"
        if self.roles.extra:
            columns = [self._column(found) for found in self.roles.extra]
            yield f"  extra: {_flow(columns)}  # {'; '.join(map(_comment, self.roles.extra))}"

    def _column(self, role: ColumnRole) -> str | int:
        return column_of(self.table, role.profile)


def propose_layout(folder: Path) -> Proposal:
    """Propose how to read the tables of a folder.

    Raises:
        CatalogueError: If there is no table, or no column that may be a category, a title or a photo.
    """
    paths = sorted(path for path in folder.iterdir() if path.is_file() and is_table(path))
    if not paths:
        raise CatalogueError(
            f"{str(folder)!r}: has no CSV, TSV, Parquet, JSON Lines or Excel file ({list_files(folder)}); name the"
            " folder with the files of the catalogue"
        )
    tables = [(path, _open(path)) for path in paths]
    labels = next((path for path, table in tables if _is_labels(table)), None)
    products = [(path, table) for path, table in tables if path != labels] or tables
    path, table = max(products, key=lambda one: (len(one[1].columns), one[0].stat().st_size))
    same = [
        other for other, one in products if one.columns == table.columns or not (one.has_header or table.has_header)
    ]
    profiles = profile_columns(table.columns, has_header=table.has_header, rows=islice(table.rows(), PROFILED_ROWS))
    roles = propose_roles(profiles)
    missing = [role for role in ("category", "designation") if role not in roles.roles]
    if "category" in missing or ("designation" in missing and "image" not in roles.roles):
        seen = "; ".join(
            f"{one.name or one.position}: {one.distinct:,} values, {one.examples()[:1]}" for one in profiles
        )
        raise CatalogueError(
            f"{path.name}: no column looks like a {missing[0]}; write catalogue.yaml with `columns` yourself"
            f" (columns: {seen[:600]})"
        )
    values: dict[str, Any] = {"products": _patterns(folder, same)}
    if languages := _languages(roles):
        values["languages"] = languages
    if not table.has_header:
        values["header"] = False
    values |= _dialect(table)
    values["columns"] = {role: column_of(table, found.profile) for role, found in roles.roles.items()}
    if roles.extra:
        values["columns"]["extra"] = [column_of(table, found.profile) for found in roles.extra]
    if roles.separator:
        values["category"] = {"separator": roles.separator} | ({} if roles.level is None else {"level": roles.level})
    if labels is not None:
        values["labels"] = labels.name
    if "image" in roles.roles and not roles.roles["image"].profile.urls and (images := _photo_folder(folder)):
        values["images"] = images
    unused = [other.name for other, _ in products if other not in same]
    return Proposal(CatalogueLayout.model_validate(values), table, roles, profiles, unused)


def column_of(table: Table, profile: ColumnProfile) -> str | int:
    """Return how a layout names a column: by its name if no other has it, else by its position."""
    unique = bool(profile.name) and table.columns.count(profile.name) == 1
    return profile.name if table.has_header and unique else profile.position


def _open(path: Path) -> Table:
    """Open a table, without a header if its first row looks like the others."""
    table = open_table(path, _layout(header=True))
    headless = open_table(path, _layout(header=False))
    if table.has_header == headless.has_header:
        return table  # the format names its columns
    rows = list(islice(headless.rows(), 200))
    return (
        table if not rows or _is_header(rows[0].cells, [row.cells for row in rows[1:] if not row.problem]) else headless
    )


def _is_header(first: Any, others: list[Any]) -> bool:
    """Return whether a first row has names: short texts without digits, unlike the values below them."""
    names = [(cell or "").strip() for cell in first]
    if any(cell and (re.fullmatch(r"[-+]?[\d.,]+", cell) or len(cell) > 60) for cell in names):
        return False
    filled = [name for name in names if name]
    if not filled or len(set(filled)) < len(filled):
        return False
    known = {fold(name) for name in filled} & _KNOWN_NAMES
    repeated = sum(any(name == (row[at] or "").strip() for row in others) for at, name in enumerate(names) if name)
    return bool(known) or repeated == 0


def _dialect(table: Table) -> dict[str, Any]:
    """Return what was detected of a text file, so that later files are read the same way."""
    found: dict[str, Any] = {}
    if matched := re.match(r"(?:CSV|TSV), (\S+), delimiter ('.+?'|\"'\"), (quote (.)|no quotes)$", table.format):
        encoding, delimiter, _, quote = matched.groups()
        found["delimiter"] = yaml.safe_load(delimiter.replace("'\\t'", '"\\t"'))
        if not quote:
            found["quote"] = ""
        if encoding not in {"utf-8", "utf-8-sig"}:
            found["encoding"] = encoding
    return found


def _layout(*, header: bool) -> CatalogueLayout:
    return CatalogueLayout.model_validate(
        {"products": ["*"], "columns": {"designation": 0, "category": 0}, "header": header}
    )


def _is_labels(table: Table) -> bool:
    return "code" in table.columns and any(_LABEL_COLUMNS.fullmatch(name) for name in table.columns)


def _patterns(folder: Path, paths: list[Path]) -> list[str]:
    """Return one pattern if it matches exactly these files, else their names."""
    names = sorted(path.name for path in paths)
    pattern = f"*{''.join(paths[0].suffixes[-2:] if len(paths[0].suffixes) > 1 else paths[0].suffixes)}"
    matching = sorted(path.name for path in folder.glob(pattern))
    return [pattern] if len(names) > 1 and matching == names else names


def _photo_folder(folder: Path) -> str:
    """Return the folder with the most photos, relative to the catalogue; empty for the catalogue's folder itself."""
    counts = {
        path.name: sum(one.suffix.lower() in PHOTO_SUFFIXES for one in islice(path.rglob("*"), 10_000))
        for path in sorted(folder.iterdir())
        if path.is_dir() and not path.name.startswith(".")
    }
    name = max(counts, key=lambda one: counts[one], default="")
    return name if name and counts[name] else ""


def _languages(roles: ColumnRoles) -> list[str]:
    """Return the language whose commonest words are in the texts, if one is clear."""
    words: dict[str, int] = dict.fromkeys(_STOP_WORDS, 0)
    for role in ("designation", "description"):
        if (found := roles.roles.get(role)) is not None:
            for value in islice(found.profile.values, 2000):
                present = set(value.lower().split())
                for language, common in _STOP_WORDS.items():
                    words[language] += len(present & common)
    first, second = sorted(words, key=lambda one: words[one], reverse=True)[:2]
    return [first] if words[first] >= 5 and words[first] > 1.3 * words[second] else []


def _flow(value: object) -> str:
    text = yaml.safe_dump(value, default_flow_style=True, allow_unicode=True, width=10_000, sort_keys=False)
    return text.removesuffix("\n").removesuffix("\n...").strip()


def _comment(role: ColumnRole) -> str:
    return " ".join(role.reason.split())


_KNOWN_NAMES: Final = frozenset({"id", "title", "name", "category", "description", "image", "brand", "price", "sku"})
