"""Objects that are named after the hash of what they hold: the same content has the same name, whoever writes it."""

import hashlib
from collections.abc import Callable

from product_classifier.errors import InvalidInput, ObjectExists
from product_classifier.store import ObjectStore


def write(store: ObjectStore, key_of: Callable[[str], str], content: bytes) -> str:
    """Write an object if it is not there yet, under the key of its hash; return the hash (SHA-256, hexadecimal)."""
    sha256 = hashlib.sha256(content).hexdigest()
    key = key_of(sha256)
    try:
        store.put(key, content, only_if_absent=True)
    except ObjectExists:
        if store.get(key) != content:  # damaged in place: its name says what it must be
            store.put(key, content)
    return sha256


def read(store: ObjectStore, key: str, sha256: str) -> bytes:
    """Return the content of an object; `InvalidInput` when it is not what was kept under this hash."""
    content = store.get(key)
    if hashlib.sha256(content).hexdigest() != sha256:
        raise InvalidInput(f"object {key!r} was changed: its content has another hash")
    return content
