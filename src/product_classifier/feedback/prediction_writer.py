"""Writes predictions to their index."""

from collections.abc import Iterable
from sqlite3 import Connection

from product_classifier.feedback.index_database import IndexDatabase
from product_classifier.feedback.index_rows import to_blob
from product_classifier.feedback.prediction_rows import columns_of, first_number
from product_classifier.feedback.records import PredictionRecord
from product_classifier.feedback.search_terms import search_text
from product_classifier.stored_taxonomy.change_store import FIRST_VERSION

UPDATE = (
    "UPDATE predictions SET status = 1, created = ?, user = ?, code = ?, taxonomy_version = ?, confidence = ?, "
    "decision = ?, release = ?, designation = ?, description = ?, image_sha256 = ?, models_differ = ?, details = ? "
    "WHERE id = ? AND status = 0 RETURNING number"
)


class PredictionWriter:
    """Writes to the index in one transaction per call; raises `IndexUnavailable`. Thread-safe."""

    def __init__(self, database: IndexDatabase) -> None:
        self._database = database

    def add_ids(self, table: str, ids: set[bytes]) -> None:
        """Add ids of objects that are to be read; `table` is always the same."""
        with self._database.write() as database:
            for one in sorted(ids):
                number = first_number(one)
                while database.execute("SELECT 1 FROM predictions WHERE number = ?", (number,)).fetchone():
                    number += 1
                database.execute(f"INSERT OR IGNORE INTO {table} (number, id) VALUES (?, ?)", (number, one))  # noqa: S608

    def write(self, found: Iterable[tuple[str, PredictionRecord | str]]) -> None:
        """Write what was read of listed objects by key: a record, why it is damaged, or "" if it was deleted."""
        with self._database.write() as database:
            for key, record in found:
                identifier = to_blob(key.rpartition("/")[2].removesuffix(".json"))
                reason = record if isinstance(record, str) else _put(database, identifier, record)
                if reason:
                    database.execute("UPDATE predictions SET status = 2 WHERE id = ? AND status = 0", (identifier,))
                    database.execute("INSERT OR REPLACE INTO damaged VALUES (?, ?)", (key, reason))
                elif isinstance(record, str):
                    database.execute("DELETE FROM predictions WHERE id = ? AND status = 0", (identifier,))

    def write_foreign(self, key: str) -> None:
        """Record that an object is not that of a prediction."""
        with self._database.write() as database:
            reason = f"object {key!r}: its key is not that of a prediction"
            database.execute("INSERT OR REPLACE INTO damaged VALUES (?, ?)", (key, reason))

    def delete(self, table: str, identifier: bytes) -> None:
        """Delete a prediction that is no longer in the store, and its words."""
        with self._database.write() as database:
            row = database.execute(
                f"DELETE FROM {table} WHERE id = ? RETURNING number, status, designation, description",  # noqa: S608
                (identifier,),
            ).fetchone()
            if row is not None and row[1] == 1:
                words = search_text(*row[2:])
                database.execute("INSERT INTO words (words, rowid, text) VALUES ('delete', ?, ?)", (row[0], words))


def _put(database: Connection, identifier: bytes, record: PredictionRecord) -> str:
    """Write a record that was read; return why it cannot be stored, "" if it was."""
    try:
        values = columns_of(record)
    except (ValueError, OverflowError) as error:
        return str(error) or type(error).__name__
    row = database.execute(UPDATE, (*values, identifier)).fetchone()
    if row is not None:
        words = search_text(record.product.designation, record.product.description)
        database.execute("INSERT INTO words (rowid, text) VALUES (?, ?)", (row[0], words))
        version = record.taxonomy_version or FIRST_VERSION
        database.execute("INSERT OR IGNORE INTO codes VALUES (?, ?)", (record.code, version))
    return ""
