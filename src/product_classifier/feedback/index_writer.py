"""Writes corrections and reviews to the index, and in the same transaction what they change."""

from collections.abc import Callable, Iterable
from sqlite3 import Connection
from typing import Literal

from product_classifier.feedback.index_database import IndexDatabase
from product_classifier.feedback.index_rows import PreparedRecord, cut_texts, product_keys, to_blob
from product_classifier.feedback.records import REVIEW_SUFFIX, Correction, ProductContent, Review
from product_classifier.feedback.state_updates import StateUpdater
from product_classifier.feedback.trust import own_state
from product_classifier.taxonomy.version_history import Reading

READ, DAMAGED = 1, 2
Read = Callable[[str, int | None], Reading]
"""Reads a code of a version, None for the first, in the newest one."""


class IndexWriter:
    """Writes to the index in one transaction per call; raises `IndexUnavailable`. Thread-safe."""

    def __init__(self, database: IndexDatabase, states: StateUpdater, read: Read) -> None:
        """Take the database, what updates states, and what reads a code in the newest version of the taxonomy."""
        self._database = database
        self._states = states
        self._read = read

    def write(self, found: Iterable[PreparedRecord], *, replace: bool = False) -> None:
        """Write records, unless there are others of their ids that are not to be replaced."""
        dirty: set[bytes] = set()
        reviewed: list[bytes] = []
        with self._database.write() as database:
            for one in found:
                if one.record is None:
                    _mark_unusable(database, one)
                elif isinstance(one.record, Review):
                    reviewed.append(_put_review(database, one, one.record, replace=replace))
                else:
                    reading = self._read(one.record.code, one.record.taxonomy_version)
                    dirty |= _put_correction(database, one, one.record, reading, replace=replace)
            self._states.update(database, dirty | _reviewed_products(database, reviewed))

    def write_damaged(self, key: str, reason: str) -> None:
        """Record why an object is not used."""
        with self._database.write() as database:
            database.execute("INSERT OR REPLACE INTO damaged VALUES (?, ?)", (key, reason))

    def write_confidences(self, found: Iterable[tuple[float, bytes]]) -> None:
        """Write the confidence of the predictions of corrections, by id."""
        with self._database.write() as database:
            database.executemany("UPDATE corrections SET confidence = ? WHERE id = ?", found)

    def write_product(self, identifier: bytes, product: ProductContent) -> None:
        """Write the product of a correction that was stored without one."""
        keys = product_keys(product)
        with self._database.write() as database:
            database.execute(
                "UPDATE corrections SET designation = ?, description = ?, image_sha256 = ?, product_key = ?, "
                "agreement_key = ? WHERE id = ?",
                (*cut_texts(product), product.image_sha256, *keys, identifier),
            )
            self._states.update(database, keys[1:])

    def add_ids(self, table: str, ids: set[bytes]) -> None:
        """Add ids of objects that are to be read."""
        with self._database.write() as database:
            rows = [(one,) for one in sorted(ids)]
            database.executemany(f"INSERT OR IGNORE INTO {table} (id) VALUES (?)", rows)  # noqa: S608

    def delete(self, table: str, identifier: bytes) -> None:
        """Delete a correction or a review that is no longer in the store."""
        with self._database.write() as database:
            query = "SELECT agreement_key FROM corrections WHERE id = ?"
            rows = database.execute(query, (identifier,)).fetchall()
            database.execute(f"DELETE FROM {table} WHERE id = ?", (identifier,))  # noqa: S608
            if table == "reviews":
                products = _reviewed_products(database, [identifier])
            else:
                products = {row[0] for row in rows if row[0] is not None}
            self._states.update(database, products)

    def update_readings(self) -> None:
        """Read the codes of all corrections in the newest version of the taxonomy, and update what changes."""
        with self._database.write() as database:
            pairs = database.execute("SELECT DISTINCT code, taxonomy_version FROM corrections WHERE status = 1")
            changed: set[bytes] = set()
            for code, version in pairs.fetchall():
                reading = self._read(code, version)
                rows = database.execute(
                    "UPDATE corrections SET read_code = ?, decided = ? WHERE status = 1 AND code = ? AND "
                    "taxonomy_version IS ? AND (read_code IS NOT ? OR decided <> ?) RETURNING agreement_key",
                    (reading.code, reading.decided, code, version, reading.code, reading.decided),
                )
                changed |= {row[0] for row in rows if row[0] is not None}
            self._states.update(database, changed)

    def forget_damage(self) -> None:
        """Have damaged objects read again, which may have been replaced or may be valid in this version."""
        with self._database.write() as database:
            database.execute("UPDATE corrections SET status = 0 WHERE status = 2")
            database.execute("UPDATE reviews SET status = 0 WHERE status = 2")
            database.execute("DELETE FROM damaged")


def _put_correction(
    database: Connection, one: PreparedRecord, record: Correction, reading: Reading, *, replace: bool
) -> set[bytes]:
    """Write the row of a correction; return the products whose states change."""
    identifier = to_blob(record.feedback_id)
    row = database.execute("SELECT status, agreement_key FROM corrections WHERE id = ?", (identifier,)).fetchone()
    dirty = {one.agreement_key} if one.agreement_key is not None else set()
    if row is None:
        database.execute("INSERT INTO corrections (id) VALUES (?)", (identifier,))
    elif row[0] == READ:
        if not replace:
            return set()
        dirty |= {row[1]} if row[1] is not None else set()
        database.execute("DELETE FROM corrections WHERE id = ?", (identifier,))
        database.execute("INSERT INTO corrections (id) VALUES (?)", (identifier,))
    elif row[0] == DAMAGED:
        database.execute("DELETE FROM damaged WHERE key = ?", (one.key,))
    texts = ("", "") if record.product is None else cut_texts(record.product)
    database.execute(
        "UPDATE corrections SET status = 1, created = ?, user = ?, role = ?, code = ?, predicted = ?, release = ?, "
        "comment = ?, prediction_id = ?, designation = ?, description = ?, image_sha256 = ?, product_key = ?, "
        "agreement_key = ?, state = ?, confidence = ?, taxonomy_version = ?, predicted_version = ?, read_code = ?, "
        "decided = ? WHERE id = ?",
        (
            one.created,
            record.user,
            record.role,
            record.code,
            record.predicted,
            record.release,
            record.comment,
            None if record.prediction_id is None else to_blob(record.prediction_id),
            *texts,
            None if record.product is None else record.product.image_sha256,
            one.product_key,
            one.agreement_key,
            own_state(record.role, _decision_of(database, identifier)),
            one.confidence,
            record.taxonomy_version,
            record.predicted_version,
            reading.code,
            reading.decided,
            identifier,
        ),
    )
    return dirty


def _put_review(database: Connection, one: PreparedRecord, record: Review, *, replace: bool) -> bytes:
    """Write the row of a review unless it has one; return its id."""
    identifier = to_blob(record.feedback_id)
    database.execute(
        "INSERT INTO reviews VALUES (?, 1, ?, ?, ?) ON CONFLICT DO UPDATE SET status = 1, created = excluded.created, "
        "reviewer = excluded.reviewer, decision = excluded.decision WHERE reviews.status <> 1 OR ?",
        (identifier, one.created, record.reviewer, record.decision, replace),
    )
    return identifier


def _mark_unusable(database: Connection, one: PreparedRecord) -> None:
    """Record the reason of a damaged object; forget one that was deleted after it was listed."""
    name = one.key.rpartition("/")[2]
    table = "reviews" if name.endswith(REVIEW_SUFFIX) else "corrections"
    identifier = to_blob(name.partition(".")[0])
    if not one.reason:
        database.execute(f"DELETE FROM {table} WHERE id = ? AND status = 0", (identifier,))  # noqa: S608
        return
    database.execute(f"UPDATE {table} SET status = 2 WHERE id = ? AND status = 0", (identifier,))  # noqa: S608
    database.execute("INSERT OR REPLACE INTO damaged VALUES (?, ?)", (one.key, one.reason))


def _reviewed_products(database: Connection, ids: Iterable[bytes]) -> set[bytes]:
    """Return the products of reviewed corrections; update the states of those without a product."""
    products = set()
    for identifier in ids:
        row = database.execute(
            "SELECT agreement_key, role FROM corrections WHERE id = ? AND status = 1", (identifier,)
        ).fetchone()
        if row is not None and row[0] is not None:
            products.add(row[0])
        elif row is not None:
            state = own_state(row[1], _decision_of(database, identifier))
            database.execute("UPDATE corrections SET state = ? WHERE id = ?", (state, identifier))
    return products


def _decision_of(database: Connection, identifier: bytes) -> Literal["approved", "rejected"] | None:
    row = database.execute("SELECT decision FROM reviews WHERE id = ? AND status = 1", (identifier,)).fetchone()
    return None if row is None else row[0]
