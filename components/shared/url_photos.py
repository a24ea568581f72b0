"""Photos by URL: downloaded once into the object store, and copied to the machines that read them.

A photo is the object `photos-by-url/<SHA-256 of its URL>`; a catalogue names it by this key as its `image_path`.
"""

import asyncio
import hashlib
import tempfile
import uuid
from collections.abc import Callable, Iterable, Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from itertools import islice
from pathlib import Path

from product_classifier.catalogue.catalogue_rows import CatalogueRow, Progress, RejectedRow, shorten
from product_classifier.catalogue.photo_downloads import DownloadLimits, download_photos
from product_classifier.catalogue.photo_folder import STORE_SCHEME, is_remote
from product_classifier.errors import InvalidKey, ObjectNotFound
from product_classifier.store import ObjectStore, open_store
from product_classifier.text.normalization import has_words

PREFIX = "photos-by-url/"
TRANSFERS = 16
BATCH = 2048


def key_of(url: str) -> str:
    """Return the key of the photo with a URL."""
    return f"{PREFIX}{hashlib.sha256(url.encode()).hexdigest()}"


def local_folder() -> Path:
    """Return the folder of this machine below which photos by URL have their keys as paths."""
    return Path(tempfile.gettempdir()) / "product-classifier-photos"


def copy_photos(store: str) -> None:
    """Copy the photos by URL of a store to this machine; those that are here already are not read."""
    if store:
        with ThreadPoolExecutor(TRANSFERS) as pool:
            opened = open_store(store, create=True)  # the first run of an installation has no store yet
            list(pool.map(lambda key: _copy(opened, key, local_folder()), opened.list(PREFIX)))


class UrlPhotos:
    """The photos by URL of a catalogue: in a folder, in the object store, or downloaded."""

    def __init__(self, store: str, folder: Path | None = None, limits: DownloadLimits | None = None) -> None:
        """Take the URL of the store, empty for none; it is opened when a photo is needed."""
        self._store_url = store
        self._store: ObjectStore | None = None
        self.folder = folder or local_folder()
        self._limits = limits or DownloadLimits()

    def locate(
        self, rows: Iterable[CatalogueRow | RejectedRow], photo_field: str, progress: Progress
    ) -> Iterator[CatalogueRow | RejectedRow]:
        """Yield rows with the key of their photo in place of its URL, in order.

        A photo that cannot be downloaded is a `RejectedRow`, and its product is kept if it has text. Downloads of 2,048
        rows are in progress at a time.
        """
        remaining, done = iter(rows), 0
        while batch := list(islice(remaining, BATCH)):
            urls = list(
                dict.fromkeys(
                    row.image_path for row in batch if isinstance(row, CatalogueRow) and is_remote(row.image_path)
                )
            )

            def report(finished: int, total: int, before: int = done) -> None:
                progress("download photos", before + finished, before + total)

            failures = self.fetch(urls, report) if urls else {}
            done += len(urls)
            for row in batch:
                yield from _located(row, failures, photo_field)

    def fetch(self, urls: Sequence[str], progress: Callable[[int, int], None]) -> dict[str, str]:
        """Make each photo available in the folder; return the reason for each that is not."""
        if self._store is None and self._store_url:
            self._store = open_store(self._store_url, create=True)
        with ThreadPoolExecutor(TRANSFERS) as pool:
            present = list(pool.map(self._is_present, urls))
        missing = [url for url, found in zip(urls, present, strict=True) if not found]
        in_store = [url for url in missing if url.startswith(STORE_SCHEME)]
        with ThreadPoolExecutor(TRANSFERS) as pool:
            failures = {
                url: reason for url, reason in zip(in_store, pool.map(self._import, in_store), strict=True) if reason
            }
        if by_http := [url for url in missing if not url.startswith(STORE_SCHEME)]:
            failures |= asyncio.run(download_photos(by_http, self._limits, self._save, progress))
        return failures

    def _is_present(self, url: str) -> bool:
        key = key_of(url)
        if (self.folder / key).is_file():
            return True
        if self._store is None:
            return False
        try:
            _copy(self._store, key, self.folder)
        except ObjectNotFound:
            return False
        return True

    def _import(self, url: str) -> str:
        """Copy a photo from another object store; return the reason if it cannot be copied."""
        bucket, _, key = url.removeprefix(STORE_SCHEME).partition("/")
        try:
            content = open_store(f"{STORE_SCHEME}{bucket}").get(key)
        except (ObjectNotFound, InvalidKey) as error:
            return str(error)
        if len(content) > self._limits.photo_bytes:
            return f"has more than {self._limits.photo_bytes:,} bytes"
        self._save(url, content)
        return ""

    def _save(self, url: str, content: bytes) -> None:
        key = key_of(url)
        if self._store is not None:
            self._store.put(key, content)
        _write(self.folder / key, content)


def _located(
    row: CatalogueRow | RejectedRow, failures: dict[str, str], photo_field: str
) -> Iterator[CatalogueRow | RejectedRow]:
    if isinstance(row, RejectedRow) or not is_remote(row.image_path):
        yield row
        return
    if (reason := failures.get(row.image_path)) is None:
        yield row._replace(image_path=key_of(row.image_path))
        return
    kept = has_words(row.designation, row.description)
    value = shorten(row.image_path)
    yield RejectedRow(row.file, row.line, photo_field, value, f"photo not downloaded: {reason}", product_kept=kept)
    if kept:
        yield row._replace(image_path="")


def _copy(store: ObjectStore, key: str, folder: Path) -> None:
    if not (folder / key).is_file():
        _write(folder / key, store.get(key))


def _write(path: Path, content: bytes) -> None:
    """Write a file so that it is complete or absent."""
    path.parent.mkdir(parents=True, exist_ok=True)
    incoming = path.with_name(f".{uuid.uuid4().hex}")
    incoming.write_bytes(content)
    incoming.rename(path)
