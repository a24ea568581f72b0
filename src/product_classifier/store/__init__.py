"""Objects by key, in a folder or in any S3 store, behind one interface.

    store = open_store("file:///srv/product-classifier")
    store.put("images/…", photo, only_if_absent=True)

Nothing but this interface is used by the services, so a laptop's folder and a cluster's MinIO behave alike; one
suite of contract tests runs against every implementation.
"""

from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Protocol
from urllib.parse import unquote, urlsplit

from product_classifier.store.object_keys import validate_key, validate_prefix
from product_classifier.store.settings import StoreSettings

__all__ = ["ObjectInfo", "ObjectStore", "StoreSettings", "open_store", "validate_key", "validate_prefix"]


@dataclass(frozen=True, slots=True)
class ObjectInfo:
    """What is known of an object without reading it; `etag` changes whenever the content does."""

    etag: str
    size: int


class ObjectStore(Protocol):
    """A flat map from keys to bytes. Every method may raise `InvalidKey` or `StoreUnavailable`.

    When a write returns, it is durable and every later read anywhere sees it. Safe for any number of threads and
    processes at once.
    """

    def put(self, key: str, data: bytes, *, only_if_absent: bool = False) -> None:
        """Write an object; with `only_if_absent` exactly one writer wins and the others get `ObjectExists`."""

    def replace_if(self, key: str, data: bytes, etag: str) -> ObjectInfo:
        """Replace an object that still has `etag`; else `ObjectChanged`, or `ObjectNotFound` when it is gone.

        Read it as `head` then `get`: a change between the two is then found by the replace.
        """

    def get(self, key: str) -> bytes:
        """Return the content, or raise `ObjectNotFound`."""

    def head(self, key: str) -> ObjectInfo:
        """Return etag and size, or raise `ObjectNotFound`."""

    def exists(self, key: str) -> bool:
        """Tell whether an object has this key."""

    def list(self, prefix: str = "") -> Iterator[str]:
        """Yield the keys that start with `prefix`, in the order of their UTF-8 bytes."""

    def delete(self, key: str) -> None:
        """Remove an object; a missing one is fine."""


def open_store(url: str, settings: StoreSettings | None = None, *, create: bool = False) -> ObjectStore:
    """Open `file:///folder` or `s3://bucket`; `create` makes the folder or bucket when it is missing."""
    parts = urlsplit(url)
    if parts.scheme == "file" and parts.netloc in {"", "localhost"} and parts.path.startswith("/"):
        from product_classifier.store.file import FileStore  # noqa: PLC0415 - only the store in use is loaded

        return FileStore(Path(unquote(parts.path)), create=create)
    if parts.scheme == "s3" and parts.netloc and parts.path in {"", "/"}:
        from product_classifier.store.s3 import S3Store  # noqa: PLC0415 - only the store in use is loaded

        store = S3Store(parts.netloc, settings or StoreSettings())
        if create:
            store.create_bucket()
        return store
    raise ValueError(f"a store is file:///folder or s3://bucket, not {url[:80]!r}")
