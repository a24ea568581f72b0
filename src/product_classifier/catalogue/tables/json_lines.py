"""JSON Lines files: one object a line, its members are the columns."""

from collections.abc import Iterator
from itertools import islice
from pathlib import Path
from typing import Final

import orjson

from product_classifier.catalogue.layout import CatalogueLayout
from product_classifier.catalogue.tables.cell_texts import cell_text
from product_classifier.catalogue.tables.table import Table, TableRow
from product_classifier.catalogue.tables.text_encodings import decoded_lines, detect_encoding
from product_classifier.errors import CatalogueError

_SAMPLE_LINES: Final = 1000


def open_json_lines(path: Path, layout: CatalogueLayout) -> Table:
    """Open a JSON Lines file; its columns are the members of the objects in its first 1,000 lines."""
    encoding = layout.encoding or detect_encoding(path)
    columns: dict[str, None] = {}
    nested: set[str] = set()
    for _, found in islice(_objects(path, encoding), _SAMPLE_LINES):
        if isinstance(found, dict):
            columns |= dict.fromkeys(found)
            nested |= {name for name, value in found.items() if _is_nested(value)}
    if not columns:
        raise CatalogueError(f"{path.name}: has no JSON object in its first lines; write one object a line")

    def rows() -> Iterator[TableRow]:
        for line, found in _objects(path, encoding):
            if not isinstance(found, dict):
                yield TableRow(line, [], found if isinstance(found, str) else "not a JSON object")
                continue
            values = [found.get(name) for name in columns]
            yield TableRow(line, [None if isinstance(value, dict) else cell_text(_plain(value)) for value in values])

    return Table(path.name, tuple(columns), True, rows, f"JSON Lines, {encoding}", frozenset(nested))


def _objects(path: Path, encoding: str) -> Iterator[tuple[int, object]]:
    """Yield line and value of every line that is not blank; the value of an invalid one is a text with the problem."""
    for number, line in enumerate(decoded_lines(path, encoding), 1):
        if text := line.strip():
            try:
                found = orjson.loads(text)
            except orjson.JSONDecodeError as error:
                yield number, f"not JSON: {error}"
            else:
                yield number, found if isinstance(found, dict) else "not a JSON object"


def _is_nested(value: object) -> bool:
    return isinstance(value, dict) or (isinstance(value, list) and any(isinstance(one, dict | list) for one in value))


def _plain(value: object) -> object:
    return None if _is_nested(value) else value
