"""Where the raw files are: a folder of this machine, or a prefix of an object store that is copied here first."""

import hashlib
import tempfile
import uuid
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from urllib.parse import unquote, urlsplit

from product_classifier.errors import CatalogueError
from product_classifier.store import ObjectStore, open_store

TRANSFERS = 16


def bring(location: str) -> Path:
    """Return a folder with the raw files of `location`, a path, `file:///folder` or `s3://bucket/prefix`.

    Every step that opens photos calls this. A copy lies at the same path on every machine, since the catalogue names
    photos by their path; a second call on one machine finds it complete.
    """
    parts = urlsplit(location)
    if parts.scheme == "file":
        return Path(unquote(parts.path))
    if parts.scheme != "s3":
        return Path(location)
    folder = Path(tempfile.gettempdir()) / f"raw-{hashlib.sha256(location.encode()).hexdigest()[:16]}"
    if not folder.is_dir():
        prefix = parts.path.strip("/")
        _copy(open_store(f"s3://{parts.netloc}"), f"{prefix}/" if prefix else "", folder, location)
    return folder


def _copy(store: ObjectStore, prefix: str, folder: Path, location: str) -> None:
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
