"""The folder `taxonomy/` of a dataset and of a release: one JSON document."""

import json
import os
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from product_classifier.errors import TaxonomyError
from product_classifier.limits import JSON_BYTES
from product_classifier.taxonomy.category import normalize_code
from product_classifier.taxonomy.tree import CODE_TYPES, Codes, Taxonomy, category_from_json

FOLDER = "taxonomy"
FILE = "taxonomy.json"


def write_taxonomy(folder: Path, taxonomy: Taxonomy) -> Path:
    """Write `taxonomy.json` into `folder`, replacing it atomically; return its path."""
    folder.mkdir(parents=True, exist_ok=True)
    path, written = folder / FILE, folder / f".{FILE}.{os.getpid()}"
    written.write_bytes(to_bytes(taxonomy))
    written.replace(path)
    return path


def read_taxonomy(folder: Path) -> Taxonomy:
    """Read `taxonomy.json` of a folder; raise `TaxonomyError` if it is missing or malformed."""
    path = folder / FILE
    try:
        if path.stat().st_size > JSON_BYTES:
            raise TaxonomyError(f"{path.name}: has {path.stat().st_size} bytes; {JSON_BYTES} are accepted")
        return from_bytes(path.read_bytes(), path.name)
    except OSError as error:
        raise TaxonomyError(f"{path}: cannot be read: {error.strerror}; write the taxonomy first") from error


def to_bytes(taxonomy: Taxonomy) -> bytes:
    """Return the JSON document of a taxonomy.

    Labels keep their order, because the first language is preferred.
    """
    return (json.dumps(taxonomy.to_json(), indent=1, ensure_ascii=False) + "\n").encode()


def from_bytes(data: bytes, where: str) -> Taxonomy:
    """Return the taxonomy of a JSON document; raise `TaxonomyError` with `where` if it is malformed."""
    try:
        values = json.loads(data)
    except (ValueError, RecursionError) as error:
        raise TaxonomyError(f"{where}: is not JSON: {str(error)[:120]}; write it again") from error
    if not isinstance(values, dict):
        raise TaxonomyError(f"{where}: holds {type(values).__name__}; an object is needed")
    return from_json(values, where)


def from_json(values: Mapping[str, Any], where: str) -> Taxonomy:
    """Return the taxonomy of a JSON object; raise `TaxonomyError` with `where` if it is malformed."""
    match values:
        case {
            "version": int(version),
            "code_type": str(code_type),
            "minimum_products": int(minimum),
            "codes": list(codes),
            "tombstones": list(tombstones),
            "categories": list(categories),
        } if code_type in CODE_TYPES:
            found = tuple(
                category_from_json(one if isinstance(one, dict) else {}, f"{where}: category {number}")
                for number, one in enumerate(categories, 1)
            )
            return Taxonomy(
                found,
                _codes(codes, f"{where}: codes"),
                version,
                "integer" if code_type == "integer" else "string",
                minimum,
                frozenset(_codes(tombstones, f"{where}: tombstones")),
            )
    raise TaxonomyError(
        f"{where}: version, code_type, minimum_products, codes, tombstones or categories is missing or malformed; "
        "write it again"
    )


def _codes(values: list[object], where: str) -> Codes:
    if any(not isinstance(value, str) for value in values):
        raise TaxonomyError(f"{where}: {values!r:.80} is not a list of texts; write codes as texts")
    return tuple(normalize_code(str(value), where) for value in values)
