"""Which keys are allowed: those that mean the same object in a folder and in every S3 store."""

from product_classifier.errors import InvalidKey

MAX_KEY_BYTES = 1024
"""S3's own limit."""

MAX_SEGMENT_BYTES = 255
"""What file systems allow for one name."""

RESERVED = ".store"
"""First segment of what the stores themselves keep (claims, locks, unfinished writes); never listed."""


def validate_key(key: str) -> str:
    """Return the key, or raise `InvalidKey` saying what is wrong with it."""
    if not key:
        raise _invalid(key, "is empty")
    _check(key, key.split("/"))
    return key


def validate_prefix(prefix: str) -> str:
    """Return the start of a key; unlike a key it may be empty, end with a slash or inside a name."""
    if prefix:
        _check(prefix, prefix.removesuffix("/").split("/"))
    return prefix


def is_reserved(key: str) -> bool:
    """Tell whether the store itself owns this key."""
    return key.split("/", 1)[0] == RESERVED


def _check(key: str, segments: list[str]) -> None:
    try:
        size = len(key.encode())
    except UnicodeEncodeError as error:
        raise _invalid(key, "is not valid Unicode") from error
    if size > MAX_KEY_BYTES:
        raise _invalid(key, f"has {size} bytes, more than {MAX_KEY_BYTES}")
    if "\\" in key or any(ord(character) < ord(" ") or character in "\x7f\ufffe\uffff" for character in key):
        raise _invalid(key, "holds a backslash or a control character")
    if any(segment in {"", ".", ".."} for segment in segments):
        raise _invalid(key, "holds an empty, '.' or '..' segment")
    if any(len(segment.encode()) > MAX_SEGMENT_BYTES for segment in segments):
        raise _invalid(key, f"holds a segment of more than {MAX_SEGMENT_BYTES} bytes")
    if segments[0] == RESERVED:
        raise _invalid(key, f"starts with {RESERVED!r}, which the store keeps for itself")


def _invalid(key: str, reason: str) -> InvalidKey:
    return InvalidKey(f"key {key[:80]!r} {reason}")
