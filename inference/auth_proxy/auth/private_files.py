"""Files of the embedded issuer that only their owner can read."""

import errno
import os
import secrets
from pathlib import Path

from product_classifier.errors import ProductClassifierError
from product_classifier.observability import get_logger

OWNER_ONLY = 0o600
_log = get_logger()


class StateFileUnusable(ProductClassifierError):
    """A file of users, keys or accounts cannot be used; the message names the file and what to do."""


def replace_file(path: Path, data: bytes) -> None:
    """Replace a file durably and atomically; a failure leaves the previous content and no other file."""
    draft = path.with_name(f".{path.name}.{secrets.token_hex(4)}")
    descriptor = os.open(draft, os.O_WRONLY | os.O_CREAT | os.O_EXCL, OWNER_ONLY)
    try:
        with os.fdopen(descriptor, "wb") as file:
            file.write(data)
            file.flush()
            os.fsync(file.fileno())
        draft.replace(path)
    except BaseException:
        draft.unlink(missing_ok=True)
        raise
    folder = os.open(path.parent, os.O_RDONLY | os.O_DIRECTORY)
    try:
        os.fsync(folder)
    finally:
        os.close(folder)


def restrict(path: Path) -> None:
    """Make a file unreadable for all but its owner.

    A file of another owner or on a read-only volume, such as a mounted Secret, is left as it is.
    """
    if path.stat().st_mode & 0o077:
        try:
            path.chmod(OWNER_ONLY)
        except OSError as error:
            if error.errno not in {errno.EPERM, errno.EACCES, errno.EROFS}:
                raise
        else:
            _log.warning("file_permissions_restricted", file=str(path))


def reason_of(error: Exception) -> str:
    """Return the reason of an error for a message that names the file already."""
    return (error.strerror if isinstance(error, OSError) else "") or f"{type(error).__name__}: {error}"[:200]
