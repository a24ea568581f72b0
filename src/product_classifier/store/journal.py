"""A write-ahead journal on local disk for objects that the object store cannot take now.

A record is durable when `append` returns. A segment file is a sequence of frames:

    mark | length of the payload | CRC-32 of that length | CRC-32 of the payload | payload: key length, key, data

The mark is random and part of the file name, so that the content of a record cannot imitate a frame. After a damaged
frame the reader continues at the next valid one: one corrupted byte loses one record, which is reported with its
offset. No segment is appended to after a failed write or a restart, because its content on disk is unknown.
"""

import os
import re
import secrets
import struct
import threading
import zlib
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Literal, Protocol

from product_classifier.errors import NotDurable
from product_classifier.limits import JOURNAL_SEGMENT_BYTES
from product_classifier.store.folders import make_private_folder

MARK_BYTES = 8
HEADER = struct.Struct("<III")
KEY_LENGTH = struct.Struct("<H")
NAME = re.compile(r"[0-9]{8}-[0-9a-f]{16}")
SUFFIX = ".journal"
DAMAGED_SUFFIX = ".damaged"
PROBE_PREFIX = "probe-"
PROBE_BYTES = 4096
"""Less can fit into a block that a full disk has left."""


@dataclass(frozen=True, slots=True)
class Entry:
    """One object to be written to the store."""

    key: str
    data: bytes


@dataclass(frozen=True, slots=True)
class DamagedRange:
    """Bytes of a segment that are not a valid record: `torn` at an interrupted last write, else `corrupt`."""

    segment: str
    offset: int
    length: int
    kind: Literal["torn", "corrupt"]


class Disk(Protocol):
    """The system calls of a journal; tests inject failures here."""

    def create(self, path: Path) -> int:
        """Create a file for writing; raise `FileExistsError` if it exists."""

    def write(self, descriptor: int, data: bytes) -> int:
        """Write some of the data; return the number of bytes written."""

    def sync(self, descriptor: int) -> None:
        """Return once everything written is on disk."""

    def remove(self, path: Path) -> None:
        """Delete a file."""


class OsDisk:
    """The system calls of the operating system."""

    def create(self, path: Path) -> int:
        """Create a file that only its owner can read."""
        return os.open(path, os.O_WRONLY | os.O_CREAT | os.O_EXCL | os.O_APPEND | os.O_CLOEXEC, 0o600)

    def write(self, descriptor: int, data: bytes) -> int:
        """Write some of the data; return the number of bytes written."""
        return os.write(descriptor, data)

    def sync(self, descriptor: int) -> None:
        """Call fsync."""
        os.fsync(descriptor)

    def remove(self, path: Path) -> None:
        """Delete a file if it exists."""
        path.unlink(missing_ok=True)


class Journal:
    """Segments of records in one folder. Thread-safe; one process per folder."""

    def __init__(self, folder: Path, *, max_bytes: int, disk: Disk | None = None) -> None:
        """Open or create the folder; segments of earlier processes are kept for replay.

        Args:
            folder: Folder of the segments.
            max_bytes: Size of all segments beyond which records are refused.
            disk: System calls.
        """
        self._folder = folder
        self._max_bytes = max_bytes
        self._disk = disk or OsDisk()
        self._lock = threading.Lock()
        self._active: _Segment | None = None
        make_private_folder(folder)
        paths = [*self._paths(SUFFIX), *self._paths(DAMAGED_SUFFIX)]
        self._next = max((int(path.name.split("-")[0]) for path in paths), default=0) + 1
        self._bytes = sum(path.stat().st_size for path in paths)

    def append(self, entries: Sequence[Entry]) -> None:
        """Write the entries and sync them to disk.

        Raises:
            NotDurable: If the journal is full or the disk fails; the entries may be stored in part.
        """
        with self._lock:
            if self._bytes + sum(len(entry.data) for entry in entries) > self._max_bytes:
                msg = f"journal is full: {self._bytes} of {self._max_bytes} bytes are in use"
                raise NotDurable(msg)
            try:
                self._write(entries)
            except OSError as error:
                self._close()  # after a failed fsync the state of the segment is unknown
                msg = f"journal {str(self._folder)!r} cannot store a record: {error.strerror or error}"
                raise NotDurable(msg) from error

    def check(self) -> None:
        """Raise `NotDurable` if the journal is full or a file cannot be written to its folder."""
        if self._bytes >= self._max_bytes:
            raise NotDurable(f"journal is full: {self._bytes} of {self._max_bytes} bytes are in use")
        probe = self._folder / f"{PROBE_PREFIX}{secrets.token_hex(4)}"
        try:
            descriptor = self._disk.create(probe)
            try:
                self._disk.write(descriptor, bytes(PROBE_BYTES))
                self._disk.sync(descriptor)
            finally:
                os.close(descriptor)
                self._disk.remove(probe)
        except OSError as error:
            raise NotDurable(f"journal cannot store a record: {error.strerror or error}") from error

    def rotate(self) -> list[Path]:
        """Close the active segment; return all segments, oldest first."""
        with self._lock:
            self._close()
            return self._paths(SUFFIX)

    def discard(self, segment: Path, *, damaged: bool) -> None:
        """Delete a replayed segment; a damaged one is renamed to `*.damaged` and kept for inspection."""
        with self._lock:
            size = segment.stat().st_size
            if damaged:
                segment.rename(segment.with_suffix(DAMAGED_SUFFIX))
            else:
                self._disk.remove(segment)
                self._bytes -= size
            self._sync_folder()

    @property
    def size(self) -> int:
        """Bytes on disk, those of damaged segments included."""
        return self._bytes

    def close(self) -> None:
        """Close the active segment; its records stay on disk."""
        with self._lock:
            self._close()

    def _write(self, entries: Sequence[Entry]) -> None:
        segment = self._open_segment()
        rest = memoryview(b"".join(frame(entry, segment.mark) for entry in entries))
        while rest:
            written = self._disk.write(segment.descriptor, bytes(rest))
            self._bytes += written
            segment.size += written
            rest = rest[written:]
        self._disk.sync(segment.descriptor)
        if segment.size >= JOURNAL_SEGMENT_BYTES:
            self._close()

    def _open_segment(self) -> "_Segment":
        if self._active is None:
            mark = secrets.token_bytes(MARK_BYTES)
            path = self._folder / f"{self._next:08}-{mark.hex()}{SUFFIX}"
            self._next += 1
            self._active = _Segment(self._disk.create(path), mark)
            self._sync_folder()
        return self._active

    def _close(self) -> None:
        if self._active is not None:
            descriptor = self._active.descriptor
            self._active = None
            os.close(descriptor)

    def _sync_folder(self) -> None:
        descriptor = os.open(self._folder, os.O_RDONLY | os.O_DIRECTORY)
        try:
            self._disk.sync(descriptor)
        finally:
            os.close(descriptor)

    def _paths(self, suffix: str) -> list[Path]:
        return sorted(path for path in self._folder.iterdir() if path.suffix == suffix and NAME.fullmatch(path.stem))


@dataclass(slots=True)
class _Segment:
    descriptor: int
    mark: bytes
    size: int = 0


def frame(entry: Entry, mark: bytes) -> bytes:
    """Return the frame of an entry."""
    key = entry.key.encode()
    payload = KEY_LENGTH.pack(len(key)) + key + entry.data
    return mark + HEADER.pack(len(payload), _checksum(len(payload)), zlib.crc32(payload)) + payload


def read_segment(path: Path) -> Iterator[Entry | DamagedRange]:
    """Yield the records of a segment in order, and the damaged ranges between them."""
    mark = bytes.fromhex(path.stem.split("-")[1])
    data = path.read_bytes()
    position = 0
    while position < len(data):
        found = _entry_at(data, position, mark)
        if isinstance(found, tuple):
            entry, position = found
            yield entry
            continue
        after = _next_valid(data, position + 1, mark)
        yield DamagedRange(path.name, position, after - position, found if after == len(data) else "corrupt")
        position = after


def _entry_at(data: bytes, start: int, mark: bytes) -> tuple[Entry, int] | Literal["torn", "corrupt"]:
    """Return the entry and its end, `torn` if the data ends within an otherwise valid frame, else `corrupt`."""
    begin = start + len(mark) + HEADER.size
    if not mark.startswith(data[start : start + len(mark)]):
        return "corrupt"
    if begin > len(data):
        return "torn"
    length, length_checksum, checksum = HEADER.unpack_from(data, begin - HEADER.size)
    if _checksum(length) != length_checksum:
        return "corrupt"
    payload = data[begin : begin + length]
    if len(payload) < length:
        return "torn"
    if zlib.crc32(payload) != checksum:
        return "corrupt"
    (size,) = KEY_LENGTH.unpack_from(payload)
    body = KEY_LENGTH.size + size
    return Entry(payload[KEY_LENGTH.size : body].decode(), payload[body:]), begin + length


def _next_valid(data: bytes, position: int, mark: bytes) -> int:
    while (position := data.find(mark, position)) >= 0:
        if isinstance(_entry_at(data, position, mark), tuple):
            return position
        position += 1
    return len(data)


def _checksum(length: int) -> int:
    return zlib.crc32(length.to_bytes(4, "little"))
