"""The SQLite database of an index: connections, transactions, and rebuilding.

It is a cache of the object store in one file. It is deleted and built again if it is damaged, or was written with
another schema, product key, taxonomy or store. After a kill it holds all transactions but possibly the last ones,
whose objects the next listing finds.
"""

import fcntl
import shutil
import sqlite3
import tempfile
import threading
import weakref
from collections.abc import Iterator
from contextlib import closing, contextmanager, suppress
from functools import cache
from pathlib import Path
from typing import IO, Any

from product_classifier.errors import IndexUnavailable
from product_classifier.feedback.index_schema import SCHEMA
from product_classifier.observability import get_logger

CACHE_KIB = 32 * 1024
"""Pages of the database that the writer holds in memory."""
READER_CACHE_KIB = 2 * 1024
BUSY_TIMEOUT_S = 10.0
DAMAGED = frozenset({"SQLITE_CORRUPT", "SQLITE_NOTADB"})
SUFFIXES = ("", "-wal", "-shm")

log = get_logger()


class IndexDatabase:
    """One writing connection and one reading connection per thread. Thread-safe; one process per file."""

    def __init__(self, path: Path | None, version: str, schema: str = SCHEMA, subject: str = "corrections") -> None:
        """Open or create the file; if another process uses it, a temporary one.

        Args:
            path: File of the database; SQLite puts two more files beside it. None for a database in memory, with one
                connection.
            version: What the content was computed with; another one in the file means that it is built again.
            schema: Statements that create the tables, `meta` among them.
            subject: What is indexed, for messages.

        Raises:
            IndexUnavailable: If not even a temporary file can be used.
        """
        self._version = version
        self._schema = schema
        self._name = f"the index of {subject}"
        self._lock = threading.RLock()
        self._local = threading.local()
        self._generation = 0
        self._readers: list[sqlite3.Connection] = []
        self._owner: IO[bytes] | None = None
        self._in_memory = path is None
        self._is_temporary = path is None
        self.rebuilds = 0
        """How often the file was found damaged since this process started."""
        self._path = Path(":memory:") if path is None else self._claim(path) or self._temporary()
        try:
            self._writer = self._open()
        except IndexUnavailable as error:
            if self._is_temporary:
                raise
            log.warning("feedback_index_unavailable", path=str(self._path), reason=str(error))
            self._path = self._temporary()
            self._writer = self._open()

    @contextmanager
    def write(self) -> Iterator[sqlite3.Connection]:
        """Run the block in a transaction, one at a time.

        Raises:
            IndexUnavailable: If the file cannot be written; a damaged one has been replaced by an empty one.
        """
        with self._lock, self._translated():
            self._writer.execute("BEGIN IMMEDIATE")
            try:
                yield self._writer
            except BaseException:
                with suppress(sqlite3.Error):
                    self._writer.execute("ROLLBACK")
                raise
            self._writer.execute("COMMIT")

    @contextmanager
    def read(self) -> Iterator[sqlite3.Connection]:
        """Run the block in a read transaction: all its queries see the same state.

        Raises:
            IndexUnavailable: If the file cannot be read; a damaged one has been replaced by an empty one.
        """
        if self._in_memory:
            with self._lock, self._translated():
                yield self._writer
            return
        with self._translated():
            connection = self._reader()
            if connection.in_transaction:
                yield connection
                return
            connection.execute("BEGIN")
            try:
                yield connection
            finally:
                with suppress(sqlite3.Error):
                    connection.execute("ROLLBACK")

    def value(self, query: str, *values: object) -> Any:
        """Return the value that a query selects, None without a row; raises what `read` raises."""
        with self.read() as connection:
            row = connection.execute(query, values).fetchone()
        return None if row is None else row[0]

    def meta(self, name: str) -> str | None:
        """Return the text that `set_meta` stored; raises what `read` raises."""
        value: str | None = self.value("SELECT value FROM meta WHERE name = ?", name)
        return value

    def set_meta(self, name: str, value: str) -> None:
        """Store a text; raises what `write` raises."""
        with self.write() as connection:
            connection.execute("INSERT OR REPLACE INTO meta VALUES (?, ?)", (name, value))

    @property
    def generation(self) -> int:
        """Changes whenever the content was replaced by an empty one."""
        return self._generation

    def close(self) -> None:
        """Close all connections; later calls raise `IndexUnavailable`."""
        with self._lock:
            for connection in (*self._readers, self._writer):
                connection.close()
            if self._owner is not None:
                self._owner.close()

    def _claim(self, path: Path) -> Path | None:
        """Lock the file for this process; return None if another one has it or the folder cannot be used."""
        try:
            path.parent.mkdir(parents=True, exist_ok=True, mode=0o700)
            owner = path.with_name(path.name + ".lock").open("ab")
        except OSError as error:
            log.warning("feedback_index_unavailable", path=str(path), reason=str(error))
            return None
        try:
            fcntl.flock(owner, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except OSError:
            owner.close()
            log.warning("feedback_index_in_use", path=str(path))
            return None
        self._owner = owner
        return path

    def _temporary(self) -> Path:
        try:
            folder = tempfile.mkdtemp(prefix="feedback-index-")
        except OSError as error:
            raise IndexUnavailable(f"{self._name} has no folder: {error}; set TMPDIR") from error
        weakref.finalize(self, shutil.rmtree, folder, ignore_errors=True)
        self._is_temporary = True
        return Path(folder) / "index.sqlite"

    def _open(self) -> sqlite3.Connection:
        """Return a connection to a database of this version, an empty one if the file holds anything else."""
        for _ in range(2):
            try:
                return self._checked(self._connect(CACHE_KIB))
            except _WrongContentError as error:
                log.info("feedback_index_rebuilt", path=str(self._path), reason=str(error))
            except sqlite3.DatabaseError as error:
                if not _is_damage(error):
                    raise IndexUnavailable(f"{self._name} {str(self._path)!r}: {error}") from error
                log.warning("feedback_index_rebuilt", path=str(self._path), reason=str(error))
                self.rebuilds += 1
            self._delete()
        raise IndexUnavailable(f"{self._name} {str(self._path)!r} cannot be created; check its disk")

    def _checked(self, connection: sqlite3.Connection) -> sqlite3.Connection:
        try:
            if connection.execute("SELECT count(*) FROM sqlite_schema").fetchone()[0]:
                _check_content(connection, self._version)
            else:
                if self._in_memory:
                    connection.deserialize(_empty_database(self._schema))
                else:
                    connection.executescript(f"BEGIN;{self._schema};COMMIT")
                connection.execute("INSERT INTO meta VALUES ('version', ?)", (self._version,))
        except BaseException:
            connection.close()
            raise
        return connection

    def _connect(self, cache_kib: int) -> sqlite3.Connection:
        connection = sqlite3.connect(
            self._path, timeout=BUSY_TIMEOUT_S, isolation_level=None, check_same_thread=False, cached_statements=64
        )
        try:
            connection.execute(f"PRAGMA synchronous = {'OFF' if self._is_temporary else 'NORMAL'}")
            connection.execute("PRAGMA journal_mode = WAL")
            connection.execute(f"PRAGMA cache_size = -{cache_kib}")
            connection.execute("PRAGMA secure_delete = OFF")
        except BaseException:
            connection.close()
            raise
        if not self._in_memory:
            self._path.chmod(0o600)
        return connection

    def _reader(self) -> sqlite3.Connection:
        if getattr(self._local, "generation", None) != self._generation:
            generation = self._generation
            self._local.connection = self._connect(READER_CACHE_KIB)
            self._local.generation = generation
            with self._lock:
                self._readers.append(self._local.connection)
        connection: sqlite3.Connection = self._local.connection
        return connection

    @contextmanager
    def _translated(self) -> Iterator[None]:
        try:
            yield
        except sqlite3.Error as error:
            if _is_damage(error):
                self._replace(error)
                raise IndexUnavailable(f"{self._name} is damaged and is built again: {error}") from error
            raise IndexUnavailable(f"{self._name} cannot be used: {error}; check its disk") from error

    def _replace(self, error: sqlite3.Error) -> None:
        """Replace a damaged file by an empty database."""
        with self._lock:
            log.warning("feedback_index_rebuilt", path=str(self._path), reason=str(error))
            self.rebuilds += 1
            with suppress(sqlite3.Error):
                self._writer.close()
            self._delete()
            self._writer = self._open()
            self._generation += 1

    def _delete(self) -> None:
        for suffix in SUFFIXES:
            self._path.with_name(self._path.name + suffix).unlink(missing_ok=True)


class _WrongContentError(Exception):
    """The file is a database of another version."""


@cache
def _empty_database(schema: str) -> bytes:
    """Return a database with the schema, of which a copy is made in less time than a new one."""
    with closing(sqlite3.connect(":memory:", isolation_level=None)) as connection:
        connection.executescript(schema)
        return connection.serialize()


def _check_content(connection: sqlite3.Connection, version: str) -> None:
    """Raise an error unless the database is of this version and its structure is undamaged."""
    try:
        row = connection.execute("SELECT value FROM meta WHERE name = 'version'").fetchone()
    except sqlite3.OperationalError as error:
        raise _WrongContentError(str(error)) from error
    if row is None or row[0] != version:
        raise _WrongContentError(f"version {row and row[0]!r} instead of {version!r}")
    if (found := connection.execute("PRAGMA quick_check(1)").fetchone()[0]) != "ok":
        raise sqlite3.DatabaseError(found)


def _is_damage(error: sqlite3.Error) -> bool:
    """Return whether the file is damaged, rather than not accessible."""
    name = getattr(error, "sqlite_errorname", None) or ""
    return name.startswith(tuple(DAMAGED)) or (type(error) is sqlite3.DatabaseError and not name)
