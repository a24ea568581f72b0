"""Labels in the index, and the watermark: those of them that a run has used."""

from collections.abc import Iterable, Iterator
from itertools import islice
from sqlite3 import Connection

from product_classifier.errors import InvalidInput, ObjectNotFound
from product_classifier.feedback.index_database import IndexDatabase
from product_classifier.feedback.index_rows import product_of, to_datetime, to_text
from product_classifier.feedback.records import ProductContent
from product_classifier.feedback.stored_products import read_corrected_product
from product_classifier.feedback.trust import Label
from product_classifier.observability import get_logger
from product_classifier.store import ObjectStore

LABEL_ROWS = 1000
"""Labels that are read at once."""
WATERMARK_ROWS = 5000
"""Labels of the watermark that are written or compared in one transaction."""

log = get_logger()


class LabelReader:
    """The labels of one moment, read from the index in parts; belongs to the thread that opened it."""

    def __init__(self, database: Connection, store: ObjectStore) -> None:
        self._database = database
        self._store = store
        row = database.execute("SELECT value FROM meta WHERE name = 'taxonomy_version'").fetchone()
        self._version = None if row is None or not row[0] else int(row[0])

    def __iter__(self) -> Iterator[Label]:
        """Yield all labels, sorted by product key, then the newest last."""
        rows = self._database.execute(
            "SELECT l.product_key, l.code, l.id, l.since, l.reason, c.designation, c.description, c.image_sha256 "
            "FROM labels l JOIN corrections c ON c.id = l.id ORDER BY l.product_key, l.since, l.id"
        )
        while chunk := rows.fetchmany(LABEL_ROWS):
            for key, code, identifier, since, reason, *texts in chunk:
                product, is_cut = product_of(*texts)
                if is_cut:
                    product = self._read_product(to_text(identifier))
                if product is not None:
                    yield Label(
                        key.hex(), product, code, to_text(identifier), to_datetime(since), reason, self._version
                    )

    def new_ids(self) -> Iterator[str]:
        """Yield the feedback ids of the labels beyond the watermark, sorted."""
        rows = self._database.execute("SELECT id FROM labels WHERE is_new = 1 ORDER BY id")
        while chunk := rows.fetchmany(LABEL_ROWS):
            yield from (to_text(row[0]) for row in chunk)

    def new_count(self) -> int:
        """Return the number of labels beyond the watermark."""
        return int(self._database.execute("SELECT n FROM totals WHERE name = 'new_labels'").fetchone()[0])

    def _read_product(self, feedback_id: str) -> ProductContent | None:
        """Read a product whose texts are cut in the index; None if its object was deleted or damaged meanwhile."""
        try:
            return read_corrected_product(self._store, feedback_id)
        except (ObjectNotFound, InvalidInput) as error:
            log.warning("label_skipped", feedback_id=feedback_id, reason=str(error))
            return None


def replace_watermark(database: IndexDatabase, name: str, trained: Iterable[tuple[str, str]]) -> None:
    """Replace the watermark and mark the new labels in short transactions; its name is "?" meanwhile."""
    with database.write() as connection:
        connection.execute("INSERT OR REPLACE INTO meta VALUES ('watermark', '?')")
        connection.execute("DELETE FROM trained")
    pairs = iter(trained)
    while chunk := list(islice(pairs, WATERMARK_ROWS)):
        with database.write() as connection:
            rows = [(bytes.fromhex(key), code) for key, code in chunk]
            connection.executemany("INSERT OR REPLACE INTO trained VALUES (?, ?)", rows)
    last: bytes | None = b""
    while last is not None:
        with database.write() as connection:
            last = _mark_new_labels(connection, last)
    database.set_meta("watermark", name)


def _mark_new_labels(database: Connection, after: bytes) -> bytes | None:
    """Mark the labels of the next products as new or not; return the key of the last one, None at the end."""
    row = database.execute(
        "SELECT agreement_key FROM labels WHERE agreement_key > ? ORDER BY agreement_key LIMIT 1 OFFSET ?",
        (after, WATERMARK_ROWS - 1),
    ).fetchone()
    last = None if row is None else bytes(row[0])
    is_new = "NOT EXISTS (SELECT 1 FROM trained t WHERE t.product_key = labels.product_key AND t.code = labels.code)"
    bounds, values = ("> ?", (after,)) if last is None else ("> ? AND agreement_key <= ?", (after, last))
    query = f"UPDATE labels SET is_new = {is_new} WHERE agreement_key {bounds} AND is_new <> {is_new}"  # noqa: S608
    database.execute(query, values)
    return last
