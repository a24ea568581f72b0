"""Writes records to the index, and in the same transaction what they change."""

from collections.abc import Callable, Iterable
from sqlite3 import Connection

from product_classifier.feedback.index_columns import delete_words, insert_words, update_decision
from product_classifier.feedback.index_database import IndexDatabase
from product_classifier.feedback.index_rows import PreparedRecord, cut_texts, product_keys, to_blob
from product_classifier.feedback.records import (
    REVIEW_SUFFIX,
    REVISION_SUFFIX,
    Correction,
    ProductContent,
    Review,
    Revision,
)
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
        decided: set[bytes] = set()
        with self._database.write() as database:
            for one in found:
                if one.record is None:
                    _mark_unusable(database, one)
                elif isinstance(one.record, Review):
                    decided.add(_put_review(database, one, one.record, replace=replace))
                elif isinstance(one.record, Revision):
                    decided.add(_put_revision(database, one, one.record))
                else:
                    dirty |= self._put_correction(database, one, one.record, replace=replace)
            self._states.update(database, dirty | _decided_products(database, decided))

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
            delete_words(database, identifier)
            database.execute(
                "UPDATE corrections SET designation = ?, description = ?, image_sha256 = ?, product_key = ?, "
                "agreement_key = ? WHERE id = ?",
                (*cut_texts(product), product.image_sha256, *keys, identifier),
            )
            insert_words(database, identifier)
            self._states.update(database, keys[1:])

    def add_ids(self, table: str, ids: set[bytes]) -> None:
        """Add ids of objects that are to be read."""
        with self._database.write() as database:
            rows = [(one,) for one in sorted(ids)]
            database.executemany(f"INSERT OR IGNORE INTO {table} (id) VALUES (?)", rows)  # noqa: S608

    def delete(self, table: str, identifier: bytes) -> None:
        """Delete a correction, a review or a revision that is no longer in the store."""
        with self._database.write() as database:
            column = "feedback_id" if table == "revisions" else "id"
            affected = database.execute(f"SELECT {column} FROM {table} WHERE id = ?", (identifier,)).fetchone()  # noqa: S608
            query = "SELECT agreement_key FROM corrections WHERE id = ?"
            rows = database.execute(query, (identifier,)).fetchall()
            if table == "corrections":
                delete_words(database, identifier)
            database.execute(f"DELETE FROM {table} WHERE id = ?", (identifier,))  # noqa: S608
            if table == "corrections":
                products = {row[0] for row in rows if row[0] is not None}
            else:
                products = _decided_products(database, affected or ())
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
            database.create_function("newest_code", 2, lambda code, version: self._read(code, version).code)
            database.execute(
                "UPDATE corrections SET is_confirmation = NOT is_confirmation WHERE status = 1 "
                "AND predicted IS NOT NULL "
                "AND is_confirmation <> coalesce(newest_code(predicted, predicted_version) = read_code, 0)"
            )
            self._states.update(database, changed)

    def forget_damage(self) -> None:
        """Have damaged objects read again, which may have been replaced or may be valid in this version."""
        with self._database.write() as database:
            database.execute("UPDATE corrections SET status = 0 WHERE status = 2")
            database.execute("UPDATE reviews SET status = 0 WHERE status = 2")
            database.execute("UPDATE revisions SET status = 0 WHERE status = 2")
            database.execute("DELETE FROM damaged")

    def _put_correction(
        self, database: Connection, one: PreparedRecord, record: Correction, *, replace: bool
    ) -> set[bytes]:
        """Write the row of a correction; return the products whose states change."""
        reading = self._read(record.code, record.taxonomy_version)
        is_confirmation = (
            record.predicted is not None
            and reading.code is not None
            and self._read(record.predicted, record.predicted_version).code == reading.code
        )
        identifier = to_blob(record.feedback_id)
        row = database.execute("SELECT status, agreement_key FROM corrections WHERE id = ?", (identifier,)).fetchone()
        dirty = {one.agreement_key} if one.agreement_key is not None else set()
        if row is None:
            database.execute("INSERT INTO corrections (id) VALUES (?)", (identifier,))
        elif row[0] == READ:
            if not replace:
                return set()
            dirty |= {row[1]} if row[1] is not None else set()
            delete_words(database, identifier)
            database.execute("DELETE FROM corrections WHERE id = ?", (identifier,))
            database.execute("INSERT INTO corrections (id) VALUES (?)", (identifier,))
        elif row[0] == DAMAGED:
            database.execute("DELETE FROM damaged WHERE key = ?", (one.key,))
        texts = ("", "") if record.product is None else cut_texts(record.product)
        database.execute(
            "UPDATE corrections SET status = 1, created = ?, user = ?, role = ?, code = ?, predicted = ?, release = ?, "
            "comment = ?, prediction_id = ?, designation = ?, description = ?, image_sha256 = ?, product_key = ?, "
            "agreement_key = ?, state = ?, confidence = ?, taxonomy_version = ?, predicted_version = ?, read_code = ?, "
            "decided = ?, is_confirmation = ? WHERE id = ?",
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
                own_state(record.role, None),
                one.confidence,
                record.taxonomy_version,
                record.predicted_version,
                reading.code,
                reading.decided,
                is_confirmation,
                identifier,
            ),
        )
        insert_words(database, identifier)
        if update_decision(database, identifier) is not None and one.agreement_key is None:
            _update_own_state(database, identifier)
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


def _put_revision(database: Connection, one: PreparedRecord, record: Revision) -> bytes:
    """Write the row of a revision; return the id of its correction."""
    correction = to_blob(record.feedback_id)
    database.execute(
        "INSERT INTO revisions VALUES (?, 1, ?, ?, ?, ?, ?) ON CONFLICT DO UPDATE SET status = 1, "
        "feedback_id = excluded.feedback_id, created = excluded.created, user = excluded.user, "
        "action = excluded.action, replacement = excluded.replacement",
        (
            to_blob(record.revision_id),
            correction,
            one.created,
            record.user,
            record.action,
            None if record.replacement is None else to_blob(record.replacement),
        ),
    )
    return correction


def _mark_unusable(database: Connection, one: PreparedRecord) -> None:
    """Record the reason of a damaged object; forget one that was deleted after it was listed."""
    name = one.key.rpartition("/")[2]
    tables = {REVIEW_SUFFIX: "reviews", REVISION_SUFFIX: "revisions"}
    table = next((table for suffix, table in tables.items() if name.endswith(suffix)), "corrections")
    identifier = to_blob(name.partition(".")[0])
    if not one.reason:
        database.execute(f"DELETE FROM {table} WHERE id = ? AND status = 0", (identifier,))  # noqa: S608
        return
    database.execute(f"UPDATE {table} SET status = 2 WHERE id = ? AND status = 0", (identifier,))  # noqa: S608
    database.execute("INSERT OR REPLACE INTO damaged VALUES (?, ?)", (one.key, one.reason))


def _decided_products(database: Connection, ids: Iterable[bytes]) -> set[bytes]:
    """Write the last decisions about corrections; return their products, update the states of those without one."""
    products = set()
    for identifier in ids:
        key = update_decision(database, identifier)
        if key:
            products.add(key)
        elif key is not None:
            _update_own_state(database, identifier)
    return products


def _update_own_state(database: Connection, identifier: bytes) -> None:
    """Write the state of a correction without a product."""
    role, decision = database.execute("SELECT role, decision FROM corrections WHERE id = ?", (identifier,)).fetchone()
    state = own_state(role, decision)
    database.execute("UPDATE corrections SET state = ? WHERE id = ? AND state <> ?", (state, identifier, state))
