"""Codes in stored JSON: a code that is the decimal text of an integer is stored as a number.

Formats from before codes were texts have numbers, and both forms are read as the same text. So earlier records, bundles
and snapshots stay readable, and an earlier version of a service reads what this one writes of an integer catalogue.
"""

from collections.abc import Iterable
from typing import Annotated, Final

from pydantic import BeforeValidator, PlainSerializer, SerializationInfo, WithJsonSchema

_INT64 = 1 << 63
TEXT_CODES: Final = "text codes"
"""Serialization context in which every code is written as a text, as a catalogue with text codes shows them."""


def to_stored(code: str) -> str | int:
    """Return a code as stored: `10` as a number; `0870`, `1e5` and `+1` as texts."""
    digits = code.removeprefix("-")
    if digits.isascii() and digits.isdigit() and len(digits) < 20 and str(int(code)) == code:
        return int(code) if -_INT64 <= int(code) < _INT64 else code
    return code


def from_stored(value: object) -> str:
    """Return the code of a stored number or text; raise `ValueError` for anything else."""
    if isinstance(value, str):
        return value
    if isinstance(value, int) and not isinstance(value, bool):
        return str(value)
    raise ValueError("is neither a text nor an integer")


def all_to_stored(codes: Iterable[str]) -> list[str | int]:
    """Return codes as stored."""
    return [to_stored(code) for code in codes]


def _serialize(code: str, info: SerializationInfo) -> str | int:
    return code if info.context == TEXT_CODES else to_stored(code)


StoredCode = Annotated[
    str,
    BeforeValidator(from_stored),
    PlainSerializer(_serialize, return_type=str | int, when_used="json"),
    WithJsonSchema({"type": ["string", "integer"]}),
]
"""A code in a record."""
