"""Users of the embedded issuer in SQLite, passwords as argon2id hashes."""

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

from inference.auth_proxy.auth.roles import Role
from inference.http.problems import Problem

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
_COLUMNS = "name, role, disabled, generation, created"


@dataclass(frozen=True, slots=True)
class User:
    """A user; every change that revokes the tokens sets a new generation."""

    name: str
    role: Role
    disabled: bool
    generation: str
    created: float


class UserStore:
    """Users in one SQLite file that only its owner can read.

    Thread-safe; reads do not block on a write (WAL).
    """

    def __init__(self, path: Path) -> None:
        path.parent.mkdir(parents=True, exist_ok=True, mode=0o700)
        path.touch(mode=0o600)
        self._hasher = PasswordHasher(time_cost=2, memory_cost=19_456, parallelism=1)
        self._decoy_hash = self._hasher.hash(secrets.token_hex())
        self._lock = threading.Lock()
        self._reader = _connect(path)
        self._writer = _connect(path)
        with self._change():
            self._writer.execute(_SCHEMA)

    def close(self) -> None:
        """Close the connections."""
        self._reader.close()
        self._writer.close()

    def get(self, name: str) -> User | None:
        """Return the user of this name."""
        row = self._reader.execute(f"SELECT {_COLUMNS} FROM users WHERE name = ?", (name,)).fetchone()  # noqa: S608
        return _user(row) if row else None

    def all(self) -> list[User]:
        """Return every user, by name."""
        rows = self._reader.execute(f"SELECT {_COLUMNS} FROM users ORDER BY name").fetchall()  # noqa: S608
        return [_user(row) for row in rows]

    def authenticate(self, name: str, password: str) -> User | None:
        """Return the user if the password is right; takes as long for an unknown name."""
        with self._lock:
            row = self._writer.execute("SELECT password FROM users WHERE name = ?", (name,)).fetchone()
        try:
            self._hasher.verify(row[0] if row else self._decoy_hash, password)
        except (VerificationError, InvalidHashError):
            return None
        with self._lock:
            row = self._writer.execute(f"SELECT {_COLUMNS} FROM users WHERE name = ?", (name,)).fetchone()  # noqa: S608
        user = _user(row) if row else None
        return None if user is None or user.disabled else user

    def add(self, name: str, password: str, role: Role) -> User:
        """Create a user; raise a 409 problem if the name is taken."""
        row = (name, self._hasher.hash(password), role.value, secrets.token_hex(8), time.time())
        try:
            with self._change():
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
        with self._lock, closing(self._writer.cursor()) as cursor:
            cursor.execute("BEGIN IMMEDIATE")
            try:
                yield
            except BaseException:
                cursor.execute("ROLLBACK")
                raise
            cursor.execute("COMMIT")


def _connect(path: Path) -> sqlite3.Connection:
    connection = sqlite3.connect(path, timeout=5, isolation_level=None, check_same_thread=False)
    connection.execute("PRAGMA journal_mode = WAL")
    connection.execute("PRAGMA synchronous = FULL")
    return connection


def _user(row: tuple[str, str, int, str, float]) -> User:
    name, role, disabled, generation, created = row
    return User(name, Role(role), bool(disabled), generation, created)
