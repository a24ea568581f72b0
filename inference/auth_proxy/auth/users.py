"""Users of the embedded issuer in SQLite, passwords as argon2id hashes."""

import secrets
import sqlite3
import threading
import time
from dataclasses import dataclass
from pathlib import Path

from argon2 import PasswordHasher
from argon2.exceptions import InvalidHashError, VerificationError

from inference.auth_proxy.auth.private_database import PrivateDatabase
from inference.auth_proxy.auth.roles import Role
from inference.http.problems import Problem

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
_COLUMNS = "name, role, disabled, generation, created"


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
    """Users in one private database.

    Thread-safe, but `get`, `all` and `check` belong to one thread.
    """

    def __init__(self, path: Path) -> None:
        """Open the database, or create it if there is no file; raise `StateFileUnusable` if neither works."""
        self._hasher = PasswordHasher(time_cost=2, memory_cost=19_456, parallelism=1)
        self._decoy_hash = self._hasher.hash(secrets.token_hex())
        self._authenticating = threading.Lock()
        self._database = PrivateDatabase(
            path,
            "users",
            schema=_SCHEMA,
            probe=f"SELECT password, {_COLUMNS} FROM users LIMIT 1",  # noqa: S608
            unavailable=UsersUnavailable,
        )
        self._reader = self._database.open_reader()
        self._authenticator = self._database.open_reader()

    def close(self) -> None:
        """Close the connections."""
        self._database.close()

    def get(self, name: str) -> User | None:
        """Return the user of this name; raise `UsersUnavailable` if the database cannot be read."""
        try:
            self._database.check_not_replaced()
            row = self._reader.execute(f"SELECT {_COLUMNS} FROM users WHERE name = ?", (name,)).fetchone()  # noqa: S608
            return _user(row) if row else None
        except (sqlite3.Error, ValueError) as error:
            raise self._database.unavailable(error) from error

    def all(self) -> list[User]:
        """Return every user, by name; raise `UsersUnavailable` if the database cannot be read."""
        with self._database.translated():
            self._database.check_not_replaced()
            rows = self._reader.execute(f"SELECT {_COLUMNS} FROM users ORDER BY name").fetchall()  # noqa: S608
            return [_user(row) for row in rows]

    def check(self) -> bool:
        """Return whether changes would be kept; raise `UsersUnavailable` if users cannot be read."""
        return self._database.check()

    def authenticate(self, name: str, password: str, *, hash_unknown: bool = True) -> User | None:
        """Return the user if the password is right; takes as long for an unknown name if `hash_unknown`."""
        with self._database.translated(), self._authenticating:
            self._database.check_not_replaced()
            row = self._authenticator.execute("SELECT password FROM users WHERE name = ?", (name,)).fetchone()
        if row is None and not hash_unknown:
            return None
        try:
            self._hasher.verify(row[0] if row else self._decoy_hash, password)
        except (VerificationError, InvalidHashError):
            return None
        with self._database.translated(), self._authenticating:
            row = self._authenticator.execute(
                f"SELECT {_COLUMNS} FROM users WHERE name = ?",  # noqa: S608
                (name,),
            ).fetchone()
            user = _user(row) if row else None
        return None if user is None or user.disabled else user

    def add(self, name: str, password: str, role: Role) -> User:
        """Create a user; raise a 409 problem if the name is taken."""
        row = (name, self._hasher.hash(password), role.value, secrets.token_hex(8), time.time())
        with self._database.write() as connection:
            try:
                connection.execute(
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
        with self._database.write() as connection:
            _require(connection, name)
            connection.execute(
                "UPDATE users SET password = coalesce(?, password), role = coalesce(?, role),"
                " disabled = coalesce(?, disabled), generation = ? WHERE name = ?",
                (hashed, role, disabled, secrets.token_hex(8), name),
            )
            _require_an_admin(connection, name)
        return self._existing(name)

    def remove(self, name: str) -> None:
        """Delete a user and revoke the tokens."""
        with self._database.write() as connection:
            _require(connection, name)
            connection.execute("DELETE FROM users WHERE name = ?", (name,))
            _require_an_admin(connection, name)

    def _existing(self, name: str) -> User:
        user = self.get(name)
        if user is None:
            raise Problem(404, f"user {name!r} was deleted meanwhile", kind="unknown-user")
        return user


def _require(connection: sqlite3.Connection, name: str) -> None:
    if connection.execute("SELECT 1 FROM users WHERE name = ?", (name,)).fetchone() is None:
        raise Problem(404, f"no user has the name {name!r}", kind="unknown-user")


def _require_an_admin(connection: sqlite3.Connection, name: str) -> None:
    admins = connection.execute("SELECT count(*) FROM users WHERE role = 'admin' AND NOT disabled").fetchone()
    if admins[0] == 0:
        raise Problem(409, f"{name!r} is the last admin; create another one first", kind="last-admin")


def _user(row: tuple[str, str, int, str, float]) -> User:
    name, role, disabled, generation, created = row
    return User(name, Role(role), bool(disabled), generation, created)
