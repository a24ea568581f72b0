"""Releases in the object store: `models/<release>/…`, written once.

`release.json` is the commit marker: it is uploaded last and read first.
"""

import hashlib
import shutil
import uuid
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

from product_classifier.errors import BundleRefused, ObjectExists, ObjectNotFound
from product_classifier.releases.release import MANIFEST, Release, open_release
from product_classifier.store import ObjectStore, open_store

TRANSFERS = 8


def publish(store: ObjectStore, release: Release) -> None:
    """Upload a release and read every file back; do nothing for files that are already there.

    Raises:
        ObjectExists: If a file is there with other content.
        BundleRefused: If a file reads back with other content.
    """
    files = sorted(path for path in release.path.rglob("*") if path.is_file() and path.name != MANIFEST)
    with ThreadPoolExecutor(TRANSFERS) as pool:
        list(pool.map(lambda path: _put(store, _key(release, path), path.read_bytes()), files))
    manifest = release.path / MANIFEST
    _put(store, _key(release, manifest), manifest.read_bytes())


def publish_unseen(unseen: Path, store: str) -> None:
    """Upload the unseen products to an s3:// store, where a simulation on a cluster reads them."""
    if store.startswith("s3://"):
        open_store(store).put("splits/unseen.parquet", unseen.read_bytes())


def fetch_release(store: ObjectStore, release_id: str, releases: Path) -> Release:
    """Return the verified release in `releases/<id>`; download it unless a valid copy is there.

    Raises:
        ObjectNotFound: If it was never published.
        BundleRefused: If the store holds something else than was published.
    """
    target = releases / release_id
    if target.exists():
        try:
            return open_release(target)
        except BundleRefused:
            shutil.rmtree(target)
    incoming = releases / f".incoming-{uuid.uuid4().hex}" / release_id
    try:
        try:
            download(store, f"models/{release_id}/", incoming)
        except ObjectNotFound as error:
            raise ObjectNotFound(f"release {release_id!r}: was never published or has been deleted: {error}") from error
        open_release(incoming)
        incoming.rename(target)
    finally:
        shutil.rmtree(incoming.parent, ignore_errors=True)
    return open_release(target)


def download(store: ObjectStore, prefix: str, folder: Path) -> None:
    """Copy the objects of a release below `prefix` to a folder, without a check of their content.

    Raises:
        ObjectNotFound: If there is no `release.json`.
    """
    manifest = store.get(prefix + MANIFEST)
    with ThreadPoolExecutor(TRANSFERS) as pool:
        for name, content in pool.map(lambda name: (name, store.get(prefix + name)), _names(store, prefix)):
            path = folder / name
            path.parent.mkdir(parents=True, exist_ok=True)
            path.write_bytes(content)
    folder.mkdir(parents=True, exist_ok=True)
    (folder / MANIFEST).write_bytes(manifest)


def _names(store: ObjectStore, prefix: str) -> Iterator[str]:
    return (key.removeprefix(prefix) for key in store.list(prefix) if key != prefix + MANIFEST)


def _key(release: Release, path: Path) -> str:
    return f"models/{release.id}/{path.relative_to(release.path).as_posix()}"


def _put(store: ObjectStore, key: str, content: bytes) -> None:
    try:
        store.put(key, content, only_if_absent=True)
    except ObjectExists as error:
        if store.get(key) != content:
            raise ObjectExists(f"{key!r}: is already published with other content; publish under a new id") from error
        return
    if hashlib.sha256(store.get(key)).digest() != hashlib.sha256(content).digest():
        raise BundleRefused(f"{key!r}: reads back with other content; check the object store")
