"""API keys of machines: `pck_`, 64 hexadecimal digits (256 random bits) and their CRC-32 in 8 more.

The prefix and the checksum let secret scanners find leaked keys without false alarms, as GitHub's tokens do
(https://github.blog/engineering/behind-githubs-new-authentication-token-formats/). Only the SHA-256 of a key is stored:
a hash that is slow by design protects secrets that can be guessed, and one of 112 bits or more cannot (NIST SP 800-63B,
section 5.1.2.2). The time of finding a hash in an index tells nothing about a key, because the first digits of a hash
cannot be chosen.
"""

import asyncio
import hashlib
import re
import secrets
import sqlite3
import zlib
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path

from inference.auth_proxy.auth.private_database import PrivateDatabase
from inference.auth_proxy.auth.roles import Role
from inference.auth_proxy.auth.tokens import Identity, TokenRejected, WallClock
from inference.auth_proxy.auth.users import UserStore
from inference.http.problems import Problem

KEYS_FILE = "api-keys.sqlite"
"""Name of the file in the state folder."""
PREFIX = "pck_"
KEY_PATTERN = PREFIX + r"[0-9a-f]{72}"
KEY_ID = r"[0-9a-f]{16}"
"""Start of the SHA-256 of a key: identifies it in lists and logs, and is no secret."""
KEY_USER = "key:"
"""Start of the user name of every key; no name of a user starts with it."""
MAX_KEYS = 1000
USED_WRITTEN_S = 3600.0
"""The time of the last use is written when the one written before is older than this."""
_SCHEMA = """
CREATE TABLE IF NOT EXISTS api_keys (
    digest BLOB PRIMARY KEY,
    id TEXT NOT NULL UNIQUE,
    name TEXT NOT NULL UNIQUE,
    role TEXT NOT NULL,
    created REAL NOT NULL,
    expires REAL,
    created_by TEXT NOT NULL,
    last_used REAL
) STRICT, WITHOUT ROWID
"""
_COLUMNS = "id, name, role, created, expires, created_by, last_used"
_KEY = re.compile(KEY_PATTERN)


@dataclass(frozen=True, slots=True)
class ApiKey:
    """An API key without its secret; times are seconds since 1970."""

    id: str
    name: str
    role: Role
    created: float
    expires: float | None
    """None: never."""
    created_by: str
    last_used: float | None
    """At most `USED_WRITTEN_S` before the last use; None: not used."""

    @property
    def user_name(self) -> str:
        """Return the name under which predictions, corrections and limits of this key are kept."""
        return f"{KEY_USER}{self.name}:{self.id}"


class KeysUnavailable(Problem):
    """The database of API keys cannot be read or written; the reason is logged."""

    def __init__(self) -> None:
        super().__init__(
            503,
            "the API keys cannot be read or written now; try again",
            kind="keys-unavailable",
            headers={"Retry-After": "5"},
        )


class KeyRejected(TokenRejected):
    """An API key is not valid; the reason is logged."""

    def __init__(self, reason: str, detail: str = "the API key is not valid") -> None:
        super().__init__(f"API key: {reason}", detail)


class ApiKeyStore:
    """API keys in one private database; thread-safe, but `find`, `all` and `check` belong to one thread."""

    def __init__(self, path: Path) -> None:
        """Open the database, or create it if there is no file; raise `StateFileUnusable` if neither works."""
        self._database = PrivateDatabase(
            path,
            "api_keys",
            schema=_SCHEMA,
            probe=f"SELECT digest, {_COLUMNS} FROM api_keys LIMIT 1",  # noqa: S608
            unavailable=KeysUnavailable,
        )
        self._reader = self._database.open_reader()

    def close(self) -> None:
        """Close the connections."""
        self._database.close()

    def check(self) -> bool:
        """Return whether changes would be kept; raise `KeysUnavailable` if keys cannot be read."""
        return self._database.check()

    def find(self, digest: bytes) -> ApiKey | None:
        """Return the key with this SHA-256; raise `KeysUnavailable` if the database cannot be read."""
        try:
            self._database.check_not_replaced()
            row = self._reader.execute(f"SELECT {_COLUMNS} FROM api_keys WHERE digest = ?", (digest,)).fetchone()  # noqa: S608
            return _api_key(row) if row else None
        except (sqlite3.Error, ValueError) as error:
            raise self._database.unavailable(error) from error

    def all(self) -> list[ApiKey]:
        """Return every key, by name; raise `KeysUnavailable` if the database cannot be read."""
        with self._database.translated():
            self._database.check_not_replaced()
            rows = self._reader.execute(f"SELECT {_COLUMNS} FROM api_keys ORDER BY name").fetchall()  # noqa: S608
            return [_api_key(row) for row in rows]

    def add(self, name: str, role: Role, *, expires: float | None, created_by: str, now: float) -> tuple[ApiKey, str]:
        """Create a key; return it and its secret, which is stored nowhere.

        Raises:
            Problem: 409 if another key has the name, or there are `MAX_KEYS`.
        """
        secret = new_secret()
        digest = hashlib.sha256(secret.encode()).digest()
        key = ApiKey(digest.hex()[:16], name, role, now, expires, created_by, None)
        with self._database.write() as connection:
            if connection.execute("SELECT count(*) FROM api_keys").fetchone()[0] >= MAX_KEYS:
                raise Problem(409, f"there are {MAX_KEYS} API keys, the most; delete one first", kind="too-many-keys")
            try:
                connection.execute(
                    "INSERT INTO api_keys VALUES (?, ?, ?, ?, ?, ?, ?, NULL)",
                    (digest, key.id, name, role.value, now, expires, created_by),
                )
            except sqlite3.IntegrityError as error:
                raise Problem(
                    409, f"name: API key {name!r} already exists; choose another name", kind="key-exists"
                ) from error
        return key, secret

    def remove(self, key_id: str) -> ApiKey:
        """Delete a key, which is refused from now on, and return it; raise a 404 problem if none has this id."""
        with self._database.write() as connection:
            row = connection.execute(f"DELETE FROM api_keys WHERE id = ? RETURNING {_COLUMNS}", (key_id,)).fetchone()  # noqa: S608
            if row is None:
                raise Problem(404, f"id: no API key has the id {key_id!r}", kind="unknown-key")
            return _api_key(row)

    def mark_used(self, key_id: str, now: float) -> None:
        """Write the time of the last use."""
        with self._database.write() as connection:
            connection.execute("UPDATE api_keys SET last_used = ? WHERE id = ?", (now, key_id))


class ApiKeyVerifier:
    """Verifies API keys against the current state of the database; belongs to one event loop."""

    def __init__(self, store: ApiKeyStore, users: UserStore | None = None, clock: WallClock | None = None) -> None:
        """Take the keys and, with the embedded issuer, its users, whose roles limit those of their keys."""
        self.store = store
        self.clock = clock or WallClock()
        self._users = users
        self._marked: dict[str, float] = {}

    async def verify(self, token: str) -> Identity:
        """Return the identity of the key; raise `KeyRejected` if it is not valid."""
        if not _KEY.fullmatch(token):
            raise KeyRejected("is not of the form of a key", "the API key is not complete; copy it again")
        if _checksum(token[len(PREFIX) : -8]) != token[-8:]:
            raise KeyRejected("the checksum is wrong", "the API key is mistyped, its checksum is wrong; copy it again")
        key = self.store.find(hashlib.sha256(token.encode()).digest())
        if key is None:
            raise KeyRejected("unknown or revoked")
        now = self.clock.now()
        if key.expires is not None and key.expires <= now:
            raise KeyRejected("has expired", "the API key has expired; ask an administrator for a new one")
        if now - max(key.last_used or 0, self._marked.get(key.id, 0)) >= USED_WRITTEN_S:
            self._mark_used(key.id, now)
        return Identity(key.user_name, self._role(key), is_machine=True)

    def _role(self, key: ApiKey) -> Role:
        """Return the role of a key, which is never above the one its creator has now.

        The keys of a creator who was deleted or disabled have the role `user`: machines go on, without rights over
        others.
        """
        if self._users is None or key.role is Role.USER:
            return key.role
        creator = self._users.get(key.created_by)
        if creator is None or creator.disabled or creator.created > key.created:
            return Role.USER
        return key.role if creator.role.includes(key.role) else creator.role

    def _mark_used(self, key_id: str, now: float) -> None:
        """Write the last use in a thread; a failure is logged by the database and has no other effect."""

        def mark() -> None:
            with suppress(KeysUnavailable):
                self.store.mark_used(key_id, now)

        self._marked[key_id] = now
        asyncio.get_running_loop().run_in_executor(None, mark)


def new_secret() -> str:
    """Return a new API key."""
    digits = secrets.token_hex(32)
    return f"{PREFIX}{digits}{_checksum(digits)}"


def _checksum(digits: str) -> str:
    return f"{zlib.crc32(digits.encode()):08x}"


def _api_key(row: tuple[str, str, str, float, float | None, str, float | None]) -> ApiKey:
    key_id, name, role, created, expires, created_by, last_used = row
    return ApiKey(key_id, name, Role(role), created, expires, created_by, last_used)
