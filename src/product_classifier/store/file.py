"""An object store in a folder of a local file system.

Durability and atomicity:
- An object is written to a temporary file, synced, then renamed or linked into place, so readers see all of it or
  nothing, and a full disk or a crash leaves the old content.
- The folder is synced as well; otherwise a power failure can lose the name of a synced file.
- `only_if_absent` creates a hard link, which fails for all but one of any number of processes.
- `put` and `delete` of a key exclude each other with `flock`, which the kernel releases when a process dies.
"""

import errno
import fcntl
import hashlib
import os
import time
import uuid
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from product_classifier.errors import InvalidKey, ObjectExists, ObjectNotFound, StoreUnavailable
from product_classifier.observability import get_logger
from product_classifier.store import ObjectInfo
from product_classifier.store.folders import OWNER_ONLY, make_private_folder
from product_classifier.store.object_keys import RESERVED, validate_key, validate_prefix

log = get_logger()
STALE_WRITE_S = 3600
"""Seconds after which an unfinished write is deleted; its process has died."""

LOCKS = 64
"""Number of lock files; keys are hashed to them."""

_OBJECT_REQUIRED = frozenset({"reading", "deleting"})


class FileStore:
    """An `ObjectStore` in a folder of a POSIX file system."""

    def __init__(self, root: Path, *, create: bool = False) -> None:
        """Open the folder and delete unfinished writes of crashed processes.

        Raises:
            StoreUnavailable: If the folder is missing and `create` is false, or cannot be used.
        """
        self._root = root
        self._unfinished = root / RESERVED / "unfinished"
        self._locks = root / RESERVED / "locks"
        with _translated("the folder", str(root)):
            if not create and not root.is_dir():
                raise StoreUnavailable(f"store folder {str(root)!r} does not exist")
            if not root.is_dir():
                log.info("store_folder_created", folder=str(root))
            make_private_folder(self._unfinished)
            make_private_folder(self._locks)
            self._delete_stale_writes()

    def put(self, key: str, data: bytes, *, only_if_absent: bool = False) -> None:
        """Write an object durably."""
        path = self._path(key)
        with _translated("writing", key):
            if only_if_absent and os.path.isfile(path):  # noqa: PTH113 - faster than pathlib on the request path
                raise ObjectExists(f"object {key!r} already exists")
            with self._written(data) as new:
                self._place(new, path, key, only_if_absent=only_if_absent)

    def get(self, key: str) -> bytes:
        """Return the content."""
        path = self._path(key)
        with self._reading(key):
            return path.read_bytes()

    def head(self, key: str) -> ObjectInfo:
        """Return the hash of the content and its size."""
        path = self._path(key)
        with self._reading(key), path.open("rb") as file:
            etag = hashlib.file_digest(file, "sha256").hexdigest()
            return ObjectInfo(etag, file.tell())

    def exists(self, key: str) -> bool:
        """Return whether an object has this key."""
        path = self._path(key)
        with _translated("reading", key):
            found = path.is_file()
            if not found:
                self._require_folder()
            return found

    def list(self, prefix: str = "", *, start_after: str = "") -> Iterator[str]:
        """Yield the keys in order, folder by folder; an object written during the iteration may be missing."""
        validate_prefix(prefix)
        with _translated("listing", prefix):
            self._require_folder()
            yield from self._walk(prefix.rpartition("/")[0], prefix, os.fsencode(start_after))

    def delete(self, key: str) -> None:
        """Delete an object if it exists."""
        path = self._path(key)
        try:
            with _translated("deleting", key), self._locked(key):
                path.unlink()
                _sync(path.parent)
        except ObjectNotFound:
            self._require_folder()

    def _path(self, key: str) -> Path:
        return self._root / validate_key(key)

    def _walk(self, folder: str, prefix: str, start_after: bytes) -> Iterator[str]:
        """Yield the keys of a folder in order; a folder is read when its first key is due."""
        open_folders = [self._children(folder)]
        while open_folders:
            entry = next(open_folders[-1], None)
            if entry is None:
                open_folders.pop()
                continue
            key, is_folder = entry
            if not is_folder:
                if key.startswith(prefix) and os.fsencode(key) > start_after:
                    yield key
            elif key != RESERVED and _may_hold(f"{key}/", prefix, start_after):
                open_folders.append(self._children(key))

    def _children(self, folder: str) -> Iterator[tuple[str, bool]]:
        """Return path and kind of what a folder holds, in order."""
        parent = f"{folder}/" if folder else ""
        return iter([(parent + name, is_folder) for name, is_folder in _entries(self._root / folder)])

    @contextmanager
    def _reading(self, key: str) -> Iterator[None]:
        """Tell a missing object from a missing store."""
        try:
            with _translated("reading", key):
                yield
        except ObjectNotFound:
            self._require_folder()
            raise

    def _require_folder(self) -> None:
        """Raise if the folder of the store is gone: a new one in its place would split the data."""
        if not self._unfinished.is_dir():
            raise StoreUnavailable(f"store folder {str(self._root)!r} no longer exists; restore it or mount it again")

    @contextmanager
    def _written(self, data: bytes) -> Iterator[Path]:
        self._require_folder()
        new = self._unfinished / uuid.uuid4().hex
        try:
            with os.fdopen(os.open(new, os.O_WRONLY | os.O_CREAT | os.O_EXCL | os.O_CLOEXEC, 0o600), "wb") as file:
                file.write(data)
                file.flush()
                os.fsync(file.fileno())
            yield new
        finally:
            new.unlink(missing_ok=True)

    @contextmanager
    def _locked(self, key: str) -> Iterator[None]:
        stripe = int.from_bytes(hashlib.sha256(key.encode()).digest()[:4]) % LOCKS
        descriptor = os.open(self._locks / f"{stripe:02}", os.O_WRONLY | os.O_CREAT | os.O_CLOEXEC, 0o600)
        with os.fdopen(descriptor, "wb") as file:
            fcntl.flock(file, fcntl.LOCK_EX)
            yield

    def _place(self, new: Path, path: Path, key: str, *, only_if_absent: bool) -> None:
        folder = path.parent
        if not os.path.isdir(folder):  # noqa: PTH112 - faster than pathlib on the request path
            self._make_folder(folder)
        if only_if_absent:
            _link(new, path, key)
        else:
            with self._locked(key):
                new.replace(path)
        _sync(folder)

    def _make_folder(self, folder: Path) -> None:
        """Create a folder and sync the parent of each new level, so that a power failure loses none of them."""
        within = folder.relative_to(self._root).parents
        missing = [level for level in (folder, *(self._root / parent for parent in within)) if not level.exists()]
        for level in reversed(missing):
            if level == self._root:
                self._require_folder()
            level.mkdir(mode=OWNER_ONLY, exist_ok=True)
            _sync(level.parent)

    def _delete_stale_writes(self) -> None:
        for path in self._unfinished.iterdir():
            try:
                if time.time() - path.stat().st_mtime > STALE_WRITE_S:
                    path.unlink()
            except FileNotFoundError:
                continue  # the writer has just finished


def _link(new: Path, path: Path, key: str) -> None:
    try:
        os.link(new, path)
    except FileExistsError as error:
        if path.is_dir():
            raise IsADirectoryError(errno.EISDIR, "Is a directory") from error
        raise ObjectExists(f"object {key!r} already exists") from error


def _sync(folder: Path) -> None:
    descriptor = os.open(folder, os.O_RDONLY | os.O_DIRECTORY)
    try:
        os.fsync(descriptor)
    finally:
        os.close(descriptor)


def _entries(folder: Path) -> list[tuple[str, bool]]:
    """Return the names in a folder and whether each is a folder, in the order of keys: a folder sorts as `name/`."""
    try:
        with os.scandir(folder) as found:
            entries = [(entry.name, entry.is_dir()) for entry in found if not (entry.is_symlink() and entry.is_dir())]
    except (FileNotFoundError, NotADirectoryError):
        return []  # deleted meanwhile, or an object
    return sorted(entries, key=lambda entry: os.fsencode(f"{entry[0]}/" if entry[1] else entry[0]))


def _may_hold(folder: str, prefix: str, start_after: bytes) -> bool:
    """Return whether keys of a folder, given as `name/`, can have the prefix and sort after `start_after`."""
    encoded = os.fsencode(folder)
    if not (folder.startswith(prefix) or prefix.startswith(folder)):
        return False
    return encoded > start_after or start_after.startswith(encoded)


@contextmanager
def _translated(doing: str, key: str) -> Iterator[None]:
    """Translate errors of the operating system to errors of the store."""
    try:
        yield
    except (FileNotFoundError, IsADirectoryError, NotADirectoryError, FileExistsError) as error:
        if doing in _OBJECT_REQUIRED:
            raise ObjectNotFound(f"no object {key!r}") from error
        if isinstance(error, FileNotFoundError):
            raise StoreUnavailable(f"{doing} {key[:80]!r}: the folder of the store no longer exists") from error
        raise InvalidKey(f"key {key[:80]!r} is a folder of other keys, or one of its folders is an object") from error
    except OSError as error:
        raise StoreUnavailable(f"{doing} {key[:80]!r}: {error.strerror or type(error).__name__}") from error
