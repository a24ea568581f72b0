"""Content-addressed objects: the key contains the SHA-256 of the content."""

import hashlib
from collections.abc import Callable

from product_classifier.errors import InvalidInput, ObjectExists
from product_classifier.store import ObjectStore


def write(store: ObjectStore, key_of: Callable[[str], str], content: bytes) -> str:
    """Write content under the key of its hash unless it exists; return the hash (SHA-256, hexadecimal)."""
    sha256 = hashlib.sha256(content).hexdigest()
    key = key_of(sha256)
    try:
        store.put(key, content, only_if_absent=True)
    except ObjectExists:
        if store.get(key) != content:  # the stored object is damaged
            store.put(key, content)
    return sha256


def read(store: ObjectStore, key: str, sha256: str) -> bytes:
    """Return the content of an object.

    Raises:
        InvalidInput: If the content has another hash.
        ObjectNotFound: If there is no such object.
    """
    content = store.get(key)
    if hashlib.sha256(content).hexdigest() != sha256:
        raise InvalidInput(f"object {key!r}: content does not have the hash {sha256[:12]}…; the object is damaged")
    return content
