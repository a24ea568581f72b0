"""Object stores: one interface for a local folder and for S3.

    store = open_store("file:///srv/product-classifier")
    store.put("images/…", photo, only_if_absent=True)

Services use this interface only. The same contract tests run against every implementation.
"""

from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Protocol
from urllib.parse import unquote, urlsplit

from product_classifier.errors import InvalidSettings
from product_classifier.settings_reader import read_settings
from product_classifier.store.object_keys import validate_key, validate_prefix
from product_classifier.store.settings import StoreSettings, default_store_url
from product_classifier.validation_messages import public_message

__all__ = [
    "ObjectInfo",
    "ObjectStore",
    "StoreSettings",
    "default_store_url",
    "open_store",
    "validate_key",
    "validate_prefix",
]


@dataclass(frozen=True, slots=True)
class ObjectInfo:
    """Entity tag and size of an object; `etag` changes whenever the content does."""

    etag: str
    size: int


class ObjectStore(Protocol):
    """A map from keys to bytes. Every method may raise `InvalidKey` or `StoreUnavailable`.

    A write is durable when it returns, and every later read sees it (strong read-after-write consistency). Thread-safe
    and process-safe.
    """

    def put(self, key: str, data: bytes, *, only_if_absent: bool = False) -> None:
        """Write an object.

        Raises:
            ObjectExists: With `only_if_absent`, if there is one. Of concurrent writers exactly one succeeds.
        """

    def get(self, key: str) -> bytes:
        """Return the content, or raise `ObjectNotFound`."""

    def head(self, key: str) -> ObjectInfo:
        """Return etag and size, or raise `ObjectNotFound`."""

    def exists(self, key: str) -> bool:
        """Return whether an object has this key."""

    def list(self, prefix: str = "", *, start_after: str = "") -> Iterator[str]:
        """Yield the keys that start with `prefix`, each once, those of one folder sorted by their UTF-8 bytes.

        Whether `b.txt` comes before the keys of the folder `b/` depends on the store: S3 compares whole keys, SeaweedFS
        folder by folder. Both agree on keys whose folders have names of one length, as days have.

        Args:
            prefix: Common start of the keys.
            start_after: Only keys after this text in the order of the store; it needs not be a key. The ones before
                cost nothing or little.
        """

    def delete(self, key: str) -> None:
        """Delete an object if it exists."""


def open_store(url: str, settings: StoreSettings | None = None, *, create: bool = False) -> ObjectStore:
    """Open the store `file:///folder` or `s3://bucket`; `create` creates a missing folder or bucket.

    Raises:
        InvalidSettings: If the URL is neither.
        StoreUnavailable: If the folder is missing, or the bucket cannot be created.
    """
    parts = urlsplit(url)
    if parts.scheme == "file" and parts.netloc in {"", "localhost"} and parts.path.startswith("/"):
        from product_classifier.store.file import FileStore  # noqa: PLC0415 - imports only the store in use

        return FileStore(Path(unquote(parts.path)), create=create)
    if parts.scheme == "s3" and parts.netloc and parts.path in {"", "/"}:
        from product_classifier.store.s3 import S3Store  # noqa: PLC0415 - imports only the store in use

        store = S3Store(parts.netloc, settings or read_settings(StoreSettings))
        if create:
            store.create_bucket()
        return store
    raise InvalidSettings(f"STORE_URL: {public_message(url)} is no object store; use file:///folder or s3://bucket")
