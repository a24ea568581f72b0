"""SQLite files of the gateway that only their owner can read: users and API keys.

Every gateway on one disk opens the same file, so a change is seen by all of them with the next read.
"""

import os
import sqlite3
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import closing, contextmanager
from pathlib import Path

from inference.auth_proxy.auth.private_files import OWNER_ONLY, StateFileUnusable, reason_of, restrict
from inference.http.problems import Problem
from product_classifier.observability import get_logger

BUSY_S = 1.0
"""Seconds a change waits for the lock of another process."""
READ_BUSY_S = 0.1
"""Seconds a read waits: it blocks the event loop, and in WAL mode only a recovery makes it wait."""
CREATION_S = 1.0
"""Seconds another process has to write into a file that it has created."""
DISK_ERRORS = frozenset({
    sqlite3.SQLITE_CANTOPEN, sqlite3.SQLITE_FULL, sqlite3.SQLITE_IOERR, sqlite3.SQLITE_PERM, sqlite3.SQLITE_READONLY,
})  # fmt: skip
_log = get_logger()


class PrivateDatabase:
    """One file with one table of `contents`.

    `write` and `translated` are thread-safe; a connection made by `open_reader` belongs to one thread. Reads do not
    wait for a write (WAL).
    """

    def __init__(
        self, path: Path, contents: str, *, schema: str, probe: str, unavailable: Callable[[], Problem]
    ) -> None:
        """Open the database, or create it if there is no file.

        Args:
            path: The file; SQLite puts others beside it.
            contents: What it holds, for messages and log events: `users`.
            schema: Statement that creates the table unless it exists.
            probe: Query that fails if the table has other columns.
            unavailable: Returns the problem that is raised while the database cannot be used.

        Raises:
            StateFileUnusable: If the file exists and cannot be used, or cannot be created.
        """
        self._path = path
        self._contents = contents
        self._probe = probe
        self._raised = unavailable
        self._changing = threading.Lock()
        self._problem = ""
        self._connections: list[sqlite3.Connection] = []
        try:
            _create_file(path, schema)
            self._writer = self._connected(BUSY_S)
            _check_database(self._writer, probe)
            self._checker = self._connected(READ_BUSY_S)
        except (OSError, sqlite3.Error) as error:
            name = contents.replace("_", " ")
            raise StateFileUnusable(
                f"{name} database {str(path)!r}: {reason_of(error)}; {self._remedy(error)}"
            ) from error
        self._file = _file_identity(path)

    def open_reader(self) -> sqlite3.Connection:
        """Return a connection for reads of one thread."""
        with self.translated():
            return self._connected(READ_BUSY_S)

    def close(self) -> None:
        """Close all connections."""
        for connection in self._connections:
            connection.close()

    @contextmanager
    def write(self) -> Iterator[sqlite3.Connection]:
        """Run the block in a transaction that is committed or has no effect."""
        with self._changing, self.translated():
            self._check_file()
            self._writer.execute("BEGIN IMMEDIATE")
            try:
                yield self._writer
                self._writer.execute("COMMIT")
            except BaseException:
                if self._writer.in_transaction:  # a full disk may have ended it already
                    self._writer.execute("ROLLBACK")
                raise

    @contextmanager
    def translated(self) -> Iterator[None]:
        """Run a block that reads; errors of the database become the problem for clients."""
        try:
            yield
        except (sqlite3.Error, ValueError) as error:
            raise self.unavailable(error) from error

    def check(self) -> bool:
        """Return whether changes would be kept; raise the problem if the table cannot be read."""
        with self.translated():
            self.check_not_replaced()
            self._checker.execute(self._probe).fetchone()
        try:
            self._check_file()
        except sqlite3.Error as error:
            self.unavailable(error)
            return False
        if self._problem:
            _log.info(f"{self._contents}_database_recovered", file=str(self._path))
            self._problem = ""
        return True

    def check_not_replaced(self) -> None:
        """Raise if another file is in the place of the open one: both would use the same write-ahead log."""
        try:
            identity = _file_identity(self._path)
        except OSError:
            return  # what was read from the open file stays right
        if identity != self._file:
            raise sqlite3.OperationalError("another file is in its place; restart the gateway to use that")

    def unavailable(self, error: Exception) -> Problem:
        """Log the reason once, and return the problem for clients."""
        reason = reason_of(error)
        if reason != self._problem:
            event = f"{self._contents}_database_failed"
            _log.error(event, file=str(self._path), reason=reason, next=self._remedy(error))
            self._problem = reason
        return self._raised()

    def _connected(self, busy_s: float) -> sqlite3.Connection:
        self._connections.append(_connect(self._path, busy_s))
        return self._connections[-1]

    def _check_file(self) -> None:
        """Raise if the path is not the open file, to which changes would be lost at the next start."""
        self.check_not_replaced()
        if not self._path.exists():
            raise sqlite3.OperationalError("the file is gone")

    def _remedy(self, error: Exception) -> str:
        """Return what an operator can do about an error of the database."""
        code = getattr(error, "sqlite_errorcode", None)
        if code in {sqlite3.SQLITE_BUSY, sqlite3.SQLITE_LOCKED}:
            return "stop the process that has locked it"
        if isinstance(error, OSError) or (code is not None and code & 0xFF in DISK_ERRORS):
            return "check the disk, the folder and its permissions"
        return f"restore it from a backup, or move it away to start without {self._contents.replace('_', ' ')}"


def _create_file(path: Path, schema: str) -> None:
    """Create the file if it is missing; raise if it is empty, which a database never is."""
    path.parent.mkdir(parents=True, exist_ok=True, mode=0o700)
    try:
        os.close(os.open(path, os.O_RDWR | os.O_CREAT | os.O_EXCL, OWNER_ONLY))
    except FileExistsError:
        restrict(path)
        until = time.monotonic() + CREATION_S
        while path.stat().st_size == 0:
            if time.monotonic() > until:
                raise sqlite3.DatabaseError("the file is empty") from None
            time.sleep(CREATION_S / 20)  # another process may be creating it
    else:
        _initialize(path, schema)


def _initialize(path: Path, schema: str) -> None:
    try:
        with closing(_connect(path, BUSY_S)) as connection:
            connection.execute(schema)
    except BaseException:
        path.unlink(missing_ok=True)
        raise


def _check_database(connection: sqlite3.Connection, probe: str) -> None:
    """Raise unless the file is an undamaged database with the table."""
    (result,) = connection.execute("PRAGMA quick_check(1)").fetchone()
    if result != "ok":
        raise sqlite3.DatabaseError(result)
    connection.execute(probe).fetchone()


def _connect(path: Path, busy_s: float) -> sqlite3.Connection:
    connection = sqlite3.connect(path, timeout=busy_s, isolation_level=None, check_same_thread=False)
    try:
        connection.execute("PRAGMA journal_mode = WAL")
        connection.execute("PRAGMA synchronous = FULL")
    except BaseException:
        connection.close()
        raise
    return connection


def _file_identity(path: Path) -> tuple[int, int]:
    status = os.stat(path)  # noqa: PTH116 - faster than pathlib, at every request
    return status.st_dev, status.st_ino
