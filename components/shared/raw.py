"""Where the raw files are: a folder of this machine, or a prefix of an object store that is copied here first."""

import hashlib
import os
import tempfile
import uuid
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from urllib.parse import unquote, urlsplit

from product_classifier.errors import CatalogueError
from product_classifier.store import open_store

TRANSFERS = 16


def bring(location: str, expected: str = "") -> Path:
    """Return a folder with the raw files of `location`, a path, `file:///folder` or `s3://bucket/prefix`.

    Every step that opens photos calls this. A copy lies at the same path on every machine, since the catalogue names
    photos by their path; a second call on one machine finds it complete.

    Raises:
        CatalogueError: If there is nothing, or the files are no longer those of the revision `expected`.
    """
    folder = _folder(location)
    if folder is None:
        folder = Path(tempfile.gettempdir()) / f"raw-{hashlib.sha256(location.encode()).hexdigest()[:16]}"
        if not folder.is_dir():
            _copy(location, folder)
    if expected and revision(location) != expected:
        raise CatalogueError(f"the files at {location!r} were changed during the run: start it again")
    return folder


def revision(location: str) -> str:
    """Name the raw files by what is there, without reading them: other content has another name.

    In an object store that is every object's etag; in a folder, every file's size and time of change.
    """
    folder = _folder(location)
    if folder is None:
        entries = _objects(location)
    else:
        entries = [f"{path} {found.st_size} {found.st_mtime_ns}" for path, found in _files(folder)]
    if not entries:
        raise CatalogueError(f"there is nothing at {location!r}")
    return hashlib.sha256("\n".join(sorted(entries)).encode()).hexdigest()[:16]


def _folder(location: str) -> Path | None:
    """Return the folder a location is; None for an object store."""
    parts = urlsplit(location)
    if parts.scheme == "s3":
        return None
    return Path(unquote(parts.path) if parts.scheme == "file" else location)


def _bucket(location: str) -> tuple[str, str]:
    parts = urlsplit(location)
    prefix = parts.path.strip("/")
    return parts.netloc, f"{prefix}/" if prefix else ""


def _objects(location: str) -> list[str]:
    from product_classifier.store.s3 import S3Store  # noqa: PLC0415 - only a location in a bucket needs its client
    from product_classifier.store.settings import StoreSettings  # noqa: PLC0415 - likewise

    bucket, prefix = _bucket(location)
    return [f"{key} {found.size} {found.etag}" for key, found in S3Store(bucket, StoreSettings()).scan(prefix)]


def _files(folder: Path) -> Iterator[tuple[str, os.stat_result]]:
    for parent, _, names in os.walk(folder, followlinks=True):
        for path in (Path(parent) / name for name in names):
            yield path.relative_to(folder).as_posix(), path.stat()


def _copy(location: str, folder: Path) -> None:
    bucket, prefix = _bucket(location)
    store = open_store(f"s3://{bucket}")
    keys = list(store.list(prefix))
    if not keys:
        raise CatalogueError(f"there is nothing at {location!r}")
    incoming = folder.with_name(f"{folder.name}-{uuid.uuid4().hex}")

    def fetch(key: str) -> None:
        path = incoming / key.removeprefix(prefix)
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_bytes(store.get(key))

    with ThreadPoolExecutor(TRANSFERS) as pool:
        list(pool.map(fetch, keys))
    incoming.rename(folder)
