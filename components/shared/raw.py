"""Raw files of a catalogue: a folder, or a prefix of an object store that is downloaded first."""

import hashlib
import os
import tempfile
import uuid
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from urllib.parse import unquote, urlsplit

from components.shared import url_photos
from product_classifier.errors import CatalogueError
from product_classifier.settings_reader import read_settings
from product_classifier.store import open_store

TRANSFERS = 16


def fetch(location: str, expected: str = "", store: str = "") -> Path:
    """Return a folder with the raw files of a path, `file:///folder` or `s3://bucket/prefix`.

    Download a prefix unless this machine holds a complete copy. Every step that reads photos calls this.

    Args:
        location: Where the raw files are.
        expected: Revision they must still have; empty to accept any.
        store: URL of the object store with photos by URL, which are copied to this machine; empty for none.

    Raises:
        CatalogueError: If there are no files, or their revision is not `expected`.
    """
    folder = _folder(location)
    if folder is None:
        folder = Path(tempfile.gettempdir()) / f"raw-{hashlib.sha256(location.encode()).hexdigest()[:16]}"
        if not folder.is_dir():
            download(location, folder)
    if expected and revision(location) != expected:
        raise CatalogueError(f"raw files at {location!r} changed during the run; start the run again")
    url_photos.copy_photos(store)
    return folder


def revision(location: str) -> str:
    """Return a digest of the names and versions of the raw files, without reading them.

    A version is an object's size and ETag, or a file's size and modification time.

    Raises:
        CatalogueError: If there are no files.
    """
    folder = _folder(location)
    if folder is None:
        entries = _objects(location)
    else:
        entries = [f"{path} {found.st_size} {found.st_mtime_ns}" for path, found in _files(folder)]
    if not entries:
        raise _no_files(location)
    return hashlib.sha256("\n".join(sorted(entries)).encode()).hexdigest()[:16]


def photo_path(raw: Path, image_path: str) -> Path:
    """Return where to read the photo that a dataset names relative to the raw folder.

    Older datasets hold absolute paths, or paths that begin with the raw folder; both are read as well. A photo by URL
    is read from the copy on this machine.
    """
    if image_path.startswith(url_photos.PREFIX):
        return url_photos.local_folder() / image_path
    return raw / image_path.removeprefix(f"{raw.as_posix()}/")


def _folder(location: str) -> Path | None:
    """Return the folder a location names; None for an object store."""
    parts = urlsplit(location)
    if parts.scheme == "s3":
        return None
    return Path(unquote(parts.path) if parts.scheme == "file" else location)


def _bucket(location: str) -> tuple[str, str]:
    parts = urlsplit(location)
    prefix = parts.path.strip("/")
    return parts.netloc, f"{prefix}/" if prefix else ""


def _objects(location: str) -> list[str]:
    from product_classifier.store.s3 import S3Store  # noqa: PLC0415 - only s3:// needs its client
    from product_classifier.store.settings import StoreSettings  # noqa: PLC0415 - likewise

    bucket, prefix = _bucket(location)
    return [
        f"{key} {found.size} {found.etag}" for key, found in S3Store(bucket, read_settings(StoreSettings)).scan(prefix)
    ]


def _files(folder: Path) -> Iterator[tuple[str, os.stat_result]]:
    for parent, _, names in os.walk(folder, followlinks=True):
        for path in (Path(parent) / name for name in names):
            yield path.relative_to(folder).as_posix(), path.stat()


def download(location: str, folder: Path) -> Path:
    """Download a prefix to `folder`, which is complete or absent, and return it."""
    bucket, prefix = _bucket(location)
    store = open_store(f"s3://{bucket}")
    keys = list(store.list(prefix))
    if not keys:
        raise _no_files(location)
    incoming = folder.with_name(f"{folder.name}-{uuid.uuid4().hex}")

    def download(key: str) -> None:
        path = incoming / key.removeprefix(prefix)
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_bytes(store.get(key))

    with ThreadPoolExecutor(TRANSFERS) as pool:
        list(pool.map(download, keys))
    incoming.rename(folder)
    return folder


def _no_files(location: str) -> CatalogueError:
    return CatalogueError(f"raw files at {location!r}: none found; check the path or prefix")
