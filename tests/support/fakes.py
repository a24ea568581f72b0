"""Fakes with behavior, held in memory."""

import hashlib
import threading
from collections.abc import Iterator

from product_classifier.errors import ObjectExists, ObjectNotFound, StoreUnavailable
from product_classifier.store import ObjectInfo, ObjectStore, validate_key, validate_prefix


class FakeStore:
    """An `ObjectStore` in a dictionary that passes the contract tests; `away` simulates an outage."""

    def __init__(self) -> None:
        self.objects: dict[str, bytes] = {}
        self.away = False
        self._lock = threading.Lock()

    def put(self, key: str, data: bytes, *, only_if_absent: bool = False) -> None:
        self._check_available(validate_key(key))
        with self._lock:
            if only_if_absent and key in self.objects:
                raise ObjectExists(key)
            self.objects[key] = data

    def get(self, key: str) -> bytes:
        self._check_available(validate_key(key))
        try:
            return self.objects[key]
        except KeyError as error:
            raise ObjectNotFound(key) from error

    def head(self, key: str) -> ObjectInfo:
        return _info(self.get(key))

    def exists(self, key: str) -> bool:
        self._check_available(validate_key(key))
        return key in self.objects

    def list(self, prefix: str = "", *, start_after: str = "") -> Iterator[str]:
        self._check_available(validate_prefix(prefix))
        after = start_after.encode()
        found = (key for key in tuple(self.objects) if key.startswith(prefix) and key.encode() > after)
        return iter(sorted(found, key=str.encode))

    def delete(self, key: str) -> None:
        self._check_available(validate_key(key))
        self.objects.pop(key, None)

    def _check_available(self, key: str) -> None:
        if self.away:
            raise StoreUnavailable(f"the store is unavailable ({key!r})")


def _info(data: bytes) -> ObjectInfo:
    return ObjectInfo(hashlib.sha256(data).hexdigest(), len(data))


def folder_position(key: str) -> list[bytes]:
    """Return what a store compares that lists folder by folder."""
    return key.encode().split(b"/")


class FolderOrderStore:
    """An `ObjectStore` that lists the keys of another one folder by folder, as SeaweedFS does."""

    def __init__(self, inner: ObjectStore) -> None:
        self.put, self.get, self.head = inner.put, inner.get, inner.head
        self.exists, self.delete, self._list = inner.exists, inner.delete, inner.list

    def list(self, prefix: str = "", *, start_after: str = "") -> Iterator[str]:
        after = folder_position(start_after)
        return iter(sorted((key for key in self._list(prefix) if folder_position(key) > after), key=folder_position))
