"""Read `catalogue.yaml`, and publish its JSON Schema for editors."""

import difflib
import json
import re
from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path
from typing import Final

import yaml
from pydantic import BaseModel, ValidationError
from pydantic_core import ErrorDetails

from product_classifier.catalogue.layout import CatalogueLayout
from product_classifier.errors import CatalogueError
from product_classifier.validation_messages import described, public_message

FILE_NAME: Final = "catalogue.yaml"
SCHEMA_FILE: Final = Path(__file__).with_name("catalogue.schema.json")
"""The published JSON Schema; `python -m product_classifier.catalogue.layout_file` writes it."""

_MAX_BYTES: Final = 1024 * 1024


def read_layout(path: Path) -> CatalogueLayout:
    """Read a layout file.

    Raises:
        CatalogueError: If it cannot be read or does not match the schema; the message names each field with its line.
    """
    text = _read_text(path)
    try:
        node = yaml.compose(text, Loader=yaml.SafeLoader)
        values = yaml.safe_load(text)
    except yaml.YAMLError as error:
        reason = " ".join(str(error).split())[:200]
        raise CatalogueError(f"{path.name}: is not valid YAML: {reason}; correct the file") from error
    if not isinstance(values, dict) or node is None:
        raise CatalogueError(f"{path.name}: is not a mapping of keys to values; `make inspect` proposes one")
    if twice := next(_duplicate_keys(node), None):
        raise CatalogueError(f"{path.name} line {twice[1]}, {twice[0]}: is given twice; delete one of the two")
    lines = dict(_lines(node))
    try:
        return CatalogueLayout.model_validate(values)
    except ValidationError as error:
        messages = [
            f"{path.name}{_line(lines, found['loc'])}{_field(found)}: {message}" for found, message in _messages(error)
        ]
        raise CatalogueError("; ".join(dict.fromkeys(messages))) from None


def json_schema() -> dict[str, object]:
    """Return the JSON Schema of `catalogue.yaml`."""
    schema = CatalogueLayout.model_json_schema()
    return {"$schema": "https://json-schema.org/draft/2020-12/schema", **schema, "title": FILE_NAME}


def write_schema(path: Path = SCHEMA_FILE) -> None:
    """Write the JSON Schema of `catalogue.yaml`."""
    path.write_text(json.dumps(json_schema(), indent=2, ensure_ascii=False) + "\n", encoding="utf-8")


def _read_text(path: Path) -> str:
    try:
        data = path.read_bytes()
    except OSError as error:
        raise CatalogueError(f"{path}: cannot be read: {error.strerror}; check CATALOGUE or the folder") from error
    if len(data) > _MAX_BYTES:
        raise CatalogueError(f"{path.name}: has {len(data):,} bytes; a layout has at most {_MAX_BYTES:,}")
    try:
        return data.decode("utf-8-sig")
    except UnicodeDecodeError as error:
        raise CatalogueError(
            f"{path.name}: byte {data[error.start]:#04x} at position {error.start} is not UTF-8; save it as UTF-8"
        ) from error


def _messages(error: ValidationError) -> Iterator[tuple[ErrorDetails, str]]:
    """Yield each error with its message; of the two errors of a `Column` only one."""
    seen = set()
    for found, (_, message) in zip(error.errors(include_url=False), described(error), strict=False):
        place = _place(found["loc"])
        if place in seen:
            continue
        seen.add(place)
        if found["type"] == "extra_forbidden":
            yield found, _unknown_key(found["loc"])
        elif len(place) < len(found["loc"]):
            yield (
                found,
                f"must be a name or a position from 0, not {public_message(found['input'])}; write it in quotes",
            )
        else:
            yield found, message if ";" in message else f"{message}; correct the value"


def _place(location: Sequence[str | int]) -> tuple[str | int, ...]:
    """Return where an error is, without the branch of a union that pydantic adds, such as `constrained-int`."""
    return tuple(part for part in location if isinstance(part, int) or not re.search(r"\W|^(?:int|str|list)$", part))


def _unknown_key(location: Sequence[str | int]) -> str:
    accepted = _keys(location[:-1])
    near = difflib.get_close_matches(str(location[-1]).lower(), accepted, n=1, cutoff=0.5)
    hint = f"write {near[0]!r}" if near else "leave it out"
    return f"is not a known key; {hint} (known here: {', '.join(accepted)})"


def _keys(location: Sequence[str | int]) -> list[str]:
    """Return the keys of the mapping at a location."""
    model: type[BaseModel] = CatalogueLayout
    for part in location:
        annotation = model.model_fields[str(part)].annotation if str(part) in model.model_fields else None
        if not (isinstance(annotation, type) and issubclass(annotation, BaseModel)):
            break
        model = annotation
    return list(model.model_fields)


def _field(found: ErrorDetails) -> str:
    place = ".".join(map(str, _place(found["loc"])))
    return f", {place}" if place else ""


def _line(lines: Mapping[tuple[str, ...], int], location: Sequence[str | int]) -> str:
    place = tuple(map(str, _place(location)))
    while place and place not in lines:
        place = place[:-1]
    return f" line {lines[place]}" if place else ""


def _lines(node: yaml.Node, place: tuple[str, ...] = ()) -> Iterator[tuple[tuple[str, ...], int]]:
    """Yield the line of each key."""
    if isinstance(node, yaml.MappingNode):
        for key, value in node.value:
            below = (*place, str(key.value))
            yield below, key.start_mark.line + 1
            yield from _lines(value, below)


def _duplicate_keys(node: yaml.Node) -> Iterator[tuple[str, int]]:
    if isinstance(node, yaml.MappingNode):
        seen = set()
        for key, value in node.value:
            if key.value in seen:
                yield str(key.value), key.start_mark.line + 1
            seen.add(key.value)
            yield from _duplicate_keys(value)


if __name__ == "__main__":
    write_schema()
