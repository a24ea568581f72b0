"""Read the photos of a scoring job: from the source's folder, by URL, or from an object store."""

import tempfile
from collections.abc import Sequence
from pathlib import Path

from components.shared.url_photos import UrlPhotos, key_of
from pipelines.scoring.locations import fetch_source
from product_classifier.catalogue.photo_downloads import DownloadLimits
from product_classifier.catalogue.photo_folder import is_remote
from product_classifier.limits import PHOTO_BYTES


class PhotoReader:
    """Returns the content of photos, or the reason why there is none; holds those of one call on disk."""

    def __init__(self, source: str, scratch: Path, *, private_addresses: bool = False) -> None:
        """Take the location of the source; it is fetched when a photo in it is needed."""
        self._source = source
        self._scratch = scratch
        self._folder: Path | None = None
        self._limits = DownloadLimits(private_addresses=private_addresses)

    def __call__(self, names: Sequence[str]) -> list[bytes | str]:
        """Return the photos of paths and URLs, in their order."""
        with tempfile.TemporaryDirectory(dir=self._scratch) as temporary:
            urls = [name for name in names if is_remote(name)]
            failures = (
                UrlPhotos("", Path(temporary), self._limits).fetch(urls, lambda _done, _total: None) if urls else {}
            )
            return [
                failures.get(name) or _read(Path(temporary) / key_of(name) if is_remote(name) else self._path(name))
                for name in names
            ]

    def _path(self, name: str) -> Path:
        if self._folder is None:
            self._folder = fetch_source(self._source, self._scratch).folder
        return self._folder / name


def _read(path: Path) -> bytes | str:
    try:
        size = path.stat().st_size
        return path.read_bytes() if size <= PHOTO_BYTES else f"has {size:,} bytes, {PHOTO_BYTES:,} are accepted"
    except OSError as error:
        return f"cannot be read: {error.strerror}"
