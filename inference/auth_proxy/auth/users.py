"""Users of the embedded issuer in SQLite, passwords as argon2id hashes."""

import os
import secrets
import sqlite3
import threading
import time
from collections.abc import Iterator
from contextlib import closing, contextmanager
from dataclasses import dataclass
from pathlib import Path

from argon2 import PasswordHasher
from argon2.exceptions import InvalidHashError, VerificationError

from inference.auth_proxy.auth.private_files import OWNER_ONLY, StateFileUnusable, reason_of, restrict
from inference.auth_proxy.auth.roles import Role
from inference.http.problems import Problem
from product_classifier.observability import get_logger

USERS_FILE = "users.sqlite"
"""Name of the file in the state folder."""
USER_NAME = r"[a-z0-9][a-z0-9._@-]{0,63}"
_SCHEMA = """
CREATE TABLE IF NOT EXISTS users (
    name TEXT PRIMARY KEY,
    password TEXT NOT NULL,
    role TEXT NOT NULL,
    disabled INTEGER NOT NULL DEFAULT 0,
    generation TEXT NOT NULL,
    created REAL NOT NULL
) STRICT
"""
BUSY_S = 1.0
"""Seconds a change waits for the lock of another process."""
READ_BUSY_S = 0.1
"""Seconds a read waits: it blocks the event loop, and in WAL mode only a recovery makes it wait."""
CREATION_S = 1.0
"""Seconds another process has to write into a file that it has created."""
DISK_ERRORS = frozenset({
    sqlite3.SQLITE_CANTOPEN, sqlite3.SQLITE_FULL, sqlite3.SQLITE_IOERR, sqlite3.SQLITE_PERM, sqlite3.SQLITE_READONLY,
})  # fmt: skip
_COLUMNS = "name, role, disabled, generation, created"


_log = get_logger()


@dataclass(frozen=True, slots=True)
class User:
    """A user; every change that revokes the tokens sets a new generation."""

    name: str
    role: Role
    disabled: bool
    generation: str
    created: float


class UsersUnavailable(Problem):
    """The users database cannot be read or written; the reason is logged."""

    def __init__(self) -> None:
        super().__init__(
            503,
            "the users cannot be read or written now; try again",
            kind="users-unavailable",
            headers={"Retry-After": "5"},
        )


class UserStore:
    """Users in one SQLite file that only its owner can read.

    Thread-safe, but `get`, `all` and `check` belong to one thread; reads do not wait for a write (WAL).
    """

    def __init__(self, path: Path) -> None:
        """Open the database, or create it if there is no file.

        Raises:
            StateFileUnusable: If the file exists and cannot be used, or cannot be created.
        """
        self._path = path
        self._hasher = PasswordHasher(time_cost=2, memory_cost=19_456, parallelism=1)
        self._decoy_hash = self._hasher.hash(secrets.token_hex())
        self._changing, self._authenticating = threading.Lock(), threading.Lock()
        self._problem = ""
        try:
            _create_file(path)
            self._writer = _connect(path, BUSY_S)
            _check_database(self._writer)
            self._reader = _connect(path, READ_BUSY_S)
            self._authenticator = _connect(path, READ_BUSY_S)
        except (OSError, sqlite3.Error) as error:
            raise StateFileUnusable(f"users database {str(path)!r}: {reason_of(error)}; {_remedy(error)}") from error
        self._file = _file_identity(path)

    def close(self) -> None:
        """Close the connections."""
        for connection in (self._reader, self._authenticator, self._writer):
            connection.close()

    def get(self, name: str) -> User | None:
        """Return the user of this name; raise `UsersUnavailable` if the database cannot be read."""
        try:
            self._check_not_replaced()
            row = self._reader.execute(f"SELECT {_COLUMNS} FROM users WHERE name = ?", (name,)).fetchone()  # noqa: S608
            return _user(row) if row else None
        except (sqlite3.Error, ValueError) as error:
            raise self._unavailable(error) from error

    def all(self) -> list[User]:
        """Return every user, by name; raise `UsersUnavailable` if the database cannot be read."""
        with self._translated():
            self._check_not_replaced()
            rows = self._reader.execute(f"SELECT {_COLUMNS} FROM users ORDER BY name").fetchall()  # noqa: S608
            return [_user(row) for row in rows]

    def check(self) -> bool:
        """Return whether changes would be kept; raise `UsersUnavailable` if users cannot be read."""
        with self._translated():
            self._check_not_replaced()
            self._reader.execute("SELECT name FROM users LIMIT 1").fetchone()
        try:
            self._check_file()
        except sqlite3.Error as error:
            self._unavailable(error)
            return False
        if self._problem:
            _log.info("users_database_recovered", file=str(self._path))
            self._problem = ""
        return True

    def authenticate(self, name: str, password: str, *, hash_unknown: bool = True) -> User | None:
        """Return the user if the password is right; takes as long for an unknown name if `hash_unknown`."""
        with self._translated(), self._authenticating:
            self._check_not_replaced()
            row = self._authenticator.execute("SELECT password FROM users WHERE name = ?", (name,)).fetchone()
        if row is None and not hash_unknown:
            return None
        try:
            self._hasher.verify(row[0] if row else self._decoy_hash, password)
        except (VerificationError, InvalidHashError):
            return None
        with self._translated(), self._authenticating:
            row = self._authenticator.execute(
                f"SELECT {_COLUMNS} FROM users WHERE name = ?",  # noqa: S608
                (name,),
            ).fetchone()
            user = _user(row) if row else None
        return None if user is None or user.disabled else user

    def add(self, name: str, password: str, role: Role) -> User:
        """Create a user; raise a 409 problem if the name is taken."""
        row = (name, self._hasher.hash(password), role.value, secrets.token_hex(8), time.time())
        with self._change():
            try:
                self._writer.execute(
                    "INSERT INTO users (name, password, role, generation, created) VALUES (?, ?, ?, ?, ?)", row
                )
            except sqlite3.IntegrityError as error:
                raise Problem(409, f"user {name!r} already exists; choose another name", kind="user-exists") from error
        return self._existing(name)

    def change(
        self, name: str, *, password: str | None = None, role: Role | None = None, disabled: bool | None = None
    ) -> User:
        """Change a user and revoke the tokens issued before."""
        hashed = self._hasher.hash(password) if password is not None else None
        with self._change():
            self._require(name)
            self._writer.execute(
                "UPDATE users SET password = coalesce(?, password), role = coalesce(?, role),"
                " disabled = coalesce(?, disabled), generation = ? WHERE name = ?",
                (hashed, role, disabled, secrets.token_hex(8), name),
            )
            self._require_an_admin(name)
        return self._existing(name)

    def remove(self, name: str) -> None:
        """Delete a user and revoke the tokens."""
        with self._change():
            self._require(name)
            self._writer.execute("DELETE FROM users WHERE name = ?", (name,))
            self._require_an_admin(name)

    def _require(self, name: str) -> None:
        if self._writer.execute("SELECT 1 FROM users WHERE name = ?", (name,)).fetchone() is None:
            raise Problem(404, f"no user has the name {name!r}", kind="unknown-user")

    def _existing(self, name: str) -> User:
        user = self.get(name)
        if user is None:
            raise Problem(404, f"user {name!r} was deleted meanwhile", kind="unknown-user")
        return user

    def _require_an_admin(self, name: str) -> None:
        admins = self._writer.execute("SELECT count(*) FROM users WHERE role = 'admin' AND NOT disabled").fetchone()
        if admins[0] == 0:
            raise Problem(409, f"{name!r} is the last admin; create another one first", kind="last-admin")

    @contextmanager
    def _change(self) -> Iterator[None]:
        """Run the block in a transaction that is committed or has no effect."""
        with self._changing, self._translated():
            self._check_file()
            self._writer.execute("BEGIN IMMEDIATE")
            try:
                yield
                self._writer.execute("COMMIT")
            except BaseException:
                if self._writer.in_transaction:  # a full disk may have ended it already
                    self._writer.execute("ROLLBACK")
                raise

    def _check_file(self) -> None:
        """Raise if the path is not the open file, to which changes would be lost at the next start."""
        self._check_not_replaced()
        if not self._path.exists():
            raise sqlite3.OperationalError("the file is gone")

    def _check_not_replaced(self) -> None:
        """Raise if another file is in the place of the open one: both would use the same write-ahead log."""
        try:
            identity = _file_identity(self._path)
        except OSError:
            return  # what was read from the open file stays right
        if identity != self._file:
            raise sqlite3.OperationalError("another file is in its place; restart the gateway to use that")

    @contextmanager
    def _translated(self) -> Iterator[None]:
        try:
            yield
        except (sqlite3.Error, ValueError) as error:
            raise self._unavailable(error) from error

    def _unavailable(self, error: Exception) -> UsersUnavailable:
        """Log the reason once, and return the problem for clients."""
        reason = reason_of(error)
        if reason != self._problem:
            _log.error("users_database_failed", file=str(self._path), reason=reason, next=_remedy(error))
            self._problem = reason
        return UsersUnavailable()


def _create_file(path: Path) -> None:
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
        _initialize(path)


def _initialize(path: Path) -> None:
    try:
        with closing(_connect(path, BUSY_S)) as connection:
            connection.execute(_SCHEMA)
    except BaseException:
        path.unlink(missing_ok=True)
        raise


def _check_database(connection: sqlite3.Connection) -> None:
    """Raise unless the file is an undamaged database of users."""
    (result,) = connection.execute("PRAGMA quick_check(1)").fetchone()
    if result != "ok":
        raise sqlite3.DatabaseError(result)
    connection.execute(f"SELECT password, {_COLUMNS} FROM users LIMIT 1").fetchone()  # noqa: S608


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


def _remedy(error: Exception) -> str:
    """Return what an operator can do about an error of the database."""
    code = getattr(error, "sqlite_errorcode", None)
    if code in {sqlite3.SQLITE_BUSY, sqlite3.SQLITE_LOCKED}:
        return "stop the process that has locked it"
    if isinstance(error, OSError) or (code is not None and code & 0xFF in DISK_ERRORS):
        return "check the disk, the folder and its permissions"
    return "restore it from a backup, or move it away to start without users"


def _user(row: tuple[str, str, int, str, float]) -> User:
    name, role, disabled, generation, created = row
    return User(name, Role(role), bool(disabled), generation, created)
