"""Prefixes and validation of keys; a valid key denotes one object in a folder and in any S3 store."""

from product_classifier.errors import InvalidKey
from product_classifier.limits import KEY_BYTES, KEY_SEGMENT_BYTES

FEEDBACK_PREFIX = "feedback/"
"""Prefix of corrections and reviews."""
LOGS_PREFIX = "logs/"
"""Prefix of the prediction log."""

RESERVED = ".store"
"""First segment of internal objects of a store (claims, locks, unfinished writes), which are never listed."""


def validate_key(key: str) -> str:
    """Return the key; raise `InvalidKey` if it is not valid."""
    if not key:
        raise _invalid(key, "is empty")
    _check(key, key.split("/"))
    return key


def validate_prefix(prefix: str) -> str:
    """Return the prefix; raise `InvalidKey` if it is not valid. It may be empty or end with a slash."""
    if prefix:
        _check(prefix, prefix.removesuffix("/").split("/"))
    return prefix


def is_reserved(key: str) -> bool:
    """Return whether a key is internal to the store."""
    return key.split("/", 1)[0] == RESERVED


def _check(key: str, segments: list[str]) -> None:
    try:
        size = len(key.encode())
    except UnicodeEncodeError as error:
        raise _invalid(key, "is not valid Unicode") from error
    if size > KEY_BYTES:
        raise _invalid(key, f"has {size} bytes, more than {KEY_BYTES}")
    if "\\" in key or any(ord(character) < ord(" ") or character in "\x7f\ufffe\uffff" for character in key):
        raise _invalid(key, "contains a backslash or a control character")
    if any(segment in {"", ".", ".."} for segment in segments):
        raise _invalid(key, "contains an empty, '.' or '..' segment")
    if any(len(segment.encode()) > KEY_SEGMENT_BYTES for segment in segments):
        raise _invalid(key, f"contains a segment of more than {KEY_SEGMENT_BYTES} bytes")
    if segments[0] == RESERVED:
        raise _invalid(key, f"starts with {RESERVED!r}, which is reserved")


def _invalid(key: str, reason: str) -> InvalidKey:
    return InvalidKey(f"key {key[:80]!r} {reason}")
