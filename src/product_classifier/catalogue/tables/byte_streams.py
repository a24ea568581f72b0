"""Open files as streams of bytes, compressed or not."""

import zipfile
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import IO, BinaryIO, Final, cast

import pyarrow as pa

from product_classifier.errors import CatalogueError

COMPRESSIONS: Final = {".gz": "gzip", ".bz2": "bz2", ".zst": "zstd", ".lz4": "lz4"}
"""Suffix of a compressed file to the codec's name in Arrow."""
ZIP: Final = ".zip"

_SHOWN: Final = 5


def uncompressed_name(path: Path) -> str:
    """Return the name of a file without its compression's suffix; of a ZIP archive, that of its member."""
    suffix = path.suffix.lower()
    if suffix == ZIP:
        return _member(path).filename
    return path.stem if suffix in COMPRESSIONS else path.name


@contextmanager
def open_bytes(path: Path) -> Iterator[BinaryIO]:
    """Open a file for reading; decompress it if its suffix says so.

    Raises:
        CatalogueError: If it cannot be opened, or a read fails because the file is damaged.
    """
    suffix = path.suffix.lower()
    try:
        if suffix == ZIP:
            with zipfile.ZipFile(path) as archive, archive.open(_member(path)) as member:
                yield cast(BinaryIO, member)
        elif suffix in COMPRESSIONS:
            with pa.input_stream(str(path), compression=COMPRESSIONS[suffix]) as stream:
                yield cast(BinaryIO, stream)
        else:
            with path.open("rb") as file:
                yield file
    except (OSError, EOFError, zipfile.BadZipFile, RuntimeError, NotImplementedError) as error:
        reason = " ".join(str(getattr(error, "strerror", None) or error).split())[:160]
        raise CatalogueError(f"{path.name}: cannot be read: {reason}; check the file") from error


def read_all(path: Path) -> IO[bytes]:
    """Return a seekable stream: the file itself, or its decompressed content in a temporary file."""
    import shutil  # noqa: PLC0415 - rarely needed
    import tempfile  # noqa: PLC0415 - likewise

    if path.suffix.lower() not in {ZIP, *COMPRESSIONS}:
        return path.open("rb")
    copy = tempfile.TemporaryFile()  # noqa: SIM115 - the caller closes it
    with open_bytes(path) as stream:
        shutil.copyfileobj(stream, copy)
    copy.seek(0)
    return copy


def _member(path: Path) -> zipfile.ZipInfo:
    """Return the one file of an archive, without what macOS adds."""
    try:
        with zipfile.ZipFile(path) as archive:
            members = [
                one for one in archive.infolist() if not one.is_dir() and not one.filename.startswith("__MACOSX")
            ]
    except (OSError, zipfile.BadZipFile) as error:
        raise CatalogueError(f"{path.name}: is not a ZIP archive: {error}; check the file") from error
    if len(members) != 1:
        names = ", ".join(one.filename for one in members[:_SHOWN]) or "none"
        raise CatalogueError(f"{path.name}: has {len(members)} files ({names}); unpack it and name the files")
    return members[0]
