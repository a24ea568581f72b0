"""Messages about invalid input in the words of this product instead of pydantic's.

`described(error)` returns pairs such as `("role", "must be 'user', 'reviewer' or 'admin', not 'root'")`.
"""

import re
from collections.abc import Mapping, Sized

from pydantic import ValidationError
from pydantic_core import ErrorDetails

MAX_QUOTED = 60
"""Characters of a value that an error message quotes."""
MAX_ERRORS = 20
"""Invalid fields that one message lists."""
SECRET_FIELDS = frozenset({"password", "client_secret", "secret", "token", "internal_token", "image"})
"""Fields whose value no message quotes."""

_TEXTS: Mapping[str, str] = {
    "missing": "is missing; give it",
    "extra_forbidden": "is not a known field; leave it out",
    "none_required": "cannot be given here; leave it out",
    "string_pattern_mismatch": "must match {pattern}",
    "greater_than_equal": "must be at least {ge}",
    "greater_than": "must be above {gt}",
    "less_than_equal": "must be at most {le}",
    "less_than": "must be below {lt}",
    "multiple_of": "must be a multiple of {multiple_of}",
    "finite_number": "must be a finite number",
    "enum": "must be {expected}",
    "literal_error": "must be {expected}",
    "string_too_short": "has {length} characters; at least {min_length} are required",
    "string_too_long": "has {length} characters; at most {max_length} are accepted",
    "bytes_too_short": "has {length} bytes; at least {min_length} are required",
    "bytes_too_long": "has {length} bytes; at most {max_length} are accepted",
    "too_short": "has {length} entries; at least {min_length} are required",
    "too_long": "has {length} entries; at most {max_length} are accepted",
    "union_tag_not_found": "has no {discriminator}; give it",
    "union_tag_invalid": "has {discriminator} {tag}; one of {expected_tags} is accepted",
    "json_invalid": "is not valid JSON; correct it",
}
"""Text by type of an error, with the members of its context."""
_KINDS: Mapping[str, str] = {
    "string": "text", "int": "an integer", "float": "a number", "bool": "true or false", "decimal": "a number",
    "list": "a list", "tuple": "a list", "set": "a list", "dict": "an object", "mapping": "an object",
    "model": "an object", "path": "a path", "url": "a URL", "datetime": "a date and time", "date": "a date",
    "bytes": "bytes", "uuid": "a UUID", "time_delta": "a duration",
}  # fmt: skip
"""What a value must be, by the first words of the type of an error (`int_parsing`, `model_attributes_type`)."""


def public_message(value: object) -> str:
    """Return a client's value for an error message: in ASCII, shortened, containers by their size only."""
    if isinstance(value, dict):
        return "an object"
    if isinstance(value, list | tuple) and (len(value) > 6 or any(isinstance(v, list | dict | str) for v in value)):
        return f"a list of {len(value)}"
    if isinstance(value, str | bytes) and len(value) > MAX_QUOTED:
        return f"{value[:MAX_QUOTED]!a}… ({len(value)} long)"
    return ascii(value)[: MAX_QUOTED * 10]


def described(error: ValidationError) -> list[tuple[str, str]]:
    """Return field and message of each error, at most `MAX_ERRORS`; the field of the whole input is empty."""
    errors = error.errors(include_url=False)[:MAX_ERRORS]
    return [(field_of(one), message_of(one)) for one in errors]


def message_of(error: ErrorDetails, *, quote: bool = True) -> str:
    """Return what is wrong with a value and what is accepted; `quote` adds it unless it is a secret."""
    kind, given = error["type"], error["input"]
    if kind in {"value_error", "assertion_error"}:
        message = str(error["ctx"]["error"])
    elif text := _TEXTS.get(kind) or _wrong_kind(kind):
        context = {name: _plain(one) for name, one in error.get("ctx", {}).items()}
        message = text.format(**{"length": _length(given), **context})
    else:
        message = _neutral(error["msg"])
    is_secret = not SECRET_FIELDS.isdisjoint(map(str, error["loc"]))
    unsaid = message.startswith("must ") and ";" not in message
    return f"{message}, not {public_message(given)}" if quote and unsaid and not is_secret else message


def field_of(error: ErrorDetails) -> str:
    """Return the path of the field with an error, empty for the whole input."""
    return ".".join(map(str, error["loc"]))[:100]


def _length(value: object) -> int:
    return len(value) if isinstance(value, Sized) else 0


def _plain(limit: object) -> object:
    """Return a limit as it is written by hand, without a fraction of 0."""
    return int(limit) if isinstance(limit, float) and limit.is_integer() else limit


def _wrong_kind(kind: str) -> str | None:
    if not kind.endswith(("_type", "_parsing", "_from_float", "_parsing_size", "_class")):
        return None
    words = kind.split("_")
    found = _KINDS.get("_".join(words[:2])) or _KINDS.get(words[0])
    return f"must be {found}" if found else None


def _neutral(message: str) -> str:
    """Return pydantic's message of a rare error in the grammar of the other messages."""
    return re.sub(r"^.*?\bshould\b", "must", re.split(r"\n| \S+ \S+ \S+ https?:", message)[0][:200])
