"""Check the photos of products; an undecodable one is dropped, its product kept if it has text."""

import os
from collections.abc import Callable, Iterable, Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from hashlib import sha256
from itertools import islice
from pathlib import Path
from typing import Final

from product_classifier.catalogue.catalogue_rows import CatalogueRow, Progress, RejectedRow, shorten
from product_classifier.errors import InvalidImage
from product_classifier.images.headers import cut, read_header
from product_classifier.text.normalization import has_words

CheckPhoto = Callable[[bytes], bytes]
"""Returns the bytes of the picture, or raises `InvalidImage`."""

_BATCH: Final = 1024
_CHUNK: Final = 16


def check_photos(
    rows: Iterable[CatalogueRow | RejectedRow],
    folders: Sequence[Path],
    photo_field: str,
    check: CheckPhoto | None = None,
    progress: Progress = lambda _task, _done, _total: None,
    jobs: int = 0,
) -> Iterator[CatalogueRow | RejectedRow]:
    """Yield rows in order with the SHA-256 of their photos, and a `RejectedRow` for each dropped photo.

    Args:
        rows: Products and rejected rows; at most 1,024 are held in memory.
        folders: Folders that `image_path` may be relative to; the first that has the file is used.
        photo_field: Name of the photo's column for messages.
        check: By default the decoder of the models.
        progress: Called as photos are checked.
        jobs: Threads; 0 for one per processor.
    """
    check = check or decode_photo
    done, remaining = 0, iter(rows)
    # Threads suffice: reading, hashing and decoding release the global interpreter lock.
    with ThreadPoolExecutor(jobs or os.cpu_count() or 1) as pool:
        while batch := list(islice(remaining, _BATCH)):
            paths = [row.image_path for row in batch if isinstance(row, CatalogueRow) and row.image_path]
            chunks = [paths[start : start + _CHUNK] for start in range(0, len(paths), _CHUNK)]
            found: dict[str, tuple[str, str]] = {}
            for chunk in pool.map(lambda chunk: [(path, _check(folders, path, check)) for path in chunk], chunks):
                found.update(chunk)
            if paths:
                done += len(paths)
                progress("check photos", done, done if len(batch) < _BATCH else 0)
            for row in batch:
                yield from _checked(row, found, photo_field)


def decode_photo(data: bytes) -> bytes:
    """Return the bytes of a picture that can be decoded: what services store and hash, too."""
    from product_classifier.images import decoding  # noqa: PLC0415 - the simulation reads catalogues without image libraries

    info = read_header(data)
    decoding.decode(data, info=info)
    return cut(data, info)


def _checked(
    row: CatalogueRow | RejectedRow, found: dict[str, tuple[str, str]], photo_field: str
) -> Iterator[CatalogueRow | RejectedRow]:
    if isinstance(row, RejectedRow) or not row.image_path:
        yield row
        return
    digest, problem = found[row.image_path]
    if not problem:
        yield row._replace(image_sha256=digest)
        return
    kept = has_words(row.designation, row.description)
    value = shorten(Path(row.image_path).name)
    yield RejectedRow(row.file, row.line, photo_field, value, problem, product_kept=kept)
    if kept:
        yield row._replace(image_path="")


def _check(folders: Sequence[Path], image_path: str, check: CheckPhoto) -> tuple[str, str]:
    """Return the SHA-256 of a photo and an empty reason, or an empty hash and the reason it cannot be used."""
    path = next((path for folder in folders if (path := folder / image_path).is_file()), folders[-1] / image_path)
    try:
        data = check(path.read_bytes())
    except InvalidImage as error:
        return "", f"undecodable photo: {error}"
    except OSError as error:
        return "", f"unreadable photo: {error.strerror}"
    return sha256(data).hexdigest(), ""
