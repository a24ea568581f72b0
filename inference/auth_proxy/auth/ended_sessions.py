"""Sessions that were ended by a logout before they expire."""

import sqlite3
from pathlib import Path

from inference.auth_proxy.auth.private_database import PrivateDatabase
from inference.http.problems import Problem

ENDED_SESSIONS_FILE = "ended-sessions.sqlite"
"""Name of the file in the state folder."""
_SCHEMA = "CREATE TABLE IF NOT EXISTS ended_sessions (session_id TEXT PRIMARY KEY, expires REAL NOT NULL) STRICT"


class SessionsUnavailable(Problem):
    """The database of ended sessions cannot be read or written; the reason is logged."""

    def __init__(self) -> None:
        super().__init__(
            503,
            "the sessions cannot be read or written now; try again, or send a bearer token",
            kind="sessions-unavailable",
            headers={"Retry-After": "5"},
        )


class EndedSessions:
    """Ids of ended sessions in one private database; `add` is thread-safe, `has` belongs to one thread."""

    def __init__(self, path: Path) -> None:
        """Open the database, or create it if there is no file; raise `StateFileUnusable` if neither works."""
        self._database = PrivateDatabase(
            path,
            "ended_sessions",
            schema=_SCHEMA,
            probe="SELECT session_id, expires FROM ended_sessions LIMIT 1",
            unavailable=SessionsUnavailable,
        )
        self._reader = self._database.open_reader()

    def add(self, session_id: str, *, expires: float, now: float) -> None:
        """Add a session, and delete those that have expired."""
        with self._database.write() as connection:
            connection.execute("DELETE FROM ended_sessions WHERE expires < ?", (now,))
            connection.execute("INSERT OR IGNORE INTO ended_sessions VALUES (?, ?)", (session_id, expires))

    def has(self, session_id: str) -> bool:
        """Return whether a session was ended; raise `SessionsUnavailable` if the database cannot be read."""
        try:
            self._database.check_not_replaced()
            found = self._reader.execute("SELECT 1 FROM ended_sessions WHERE session_id = ?", (session_id,)).fetchone()
        except sqlite3.Error as error:
            raise self._database.unavailable(error) from error
        return found is not None
