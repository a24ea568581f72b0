"""Reads the objects that a listing found, and the products of corrections stored without one."""

from collections.abc import Callable, Iterable, Sequence
from concurrent.futures import ThreadPoolExecutor
from time import monotonic, time

from product_classifier.errors import InvalidInput, ObjectNotFound, StoreUnavailable
from product_classifier.feedback.index_database import IndexDatabase
from product_classifier.feedback.index_rows import UNKNOWN_CONFIDENCE, FeedbackRecord, PreparedRecord, prepare, to_text
from product_classifier.feedback.index_writer import IndexWriter
from product_classifier.feedback.records import (
    correction_key,
    record_kind,
    review_key,
    revision_key,
)
from product_classifier.feedback.stored_products import read_prediction
from product_classifier.store import ObjectStore

KEYS_OF: tuple[tuple[str, Callable[[str], str]], ...] = (
    ("reviews", review_key),
    ("revisions", revision_key),
    ("corrections", correction_key),
)
"""Tables in the order of reading, and the key of an id."""
MIN_PARALLEL = 32
READERS = 8
"""Threads that read objects when at least `MIN_PARALLEL` are new; each read costs a round trip."""
BATCH = 256
"""Objects that are read and then indexed in one transaction; other writers wait for that long."""
RESOLVED_AT_ONCE = 8
MAX_RESOLVE_PAUSE_S = 6 * 3600


class ObjectReader:
    """Reads from the store and writes to the index; one thread at a time."""

    def __init__(self, store: ObjectStore, database: IndexDatabase, writer: IndexWriter) -> None:
        self._store = store
        self._database = database
        self._writer = writer

    def read_listed(self, deadline: float) -> bool:
        """Read the objects that are listed only, newest first; return False if the time was not enough."""
        while True:
            with self._database.read() as database:
                keys = [
                    key_of(to_text(row[0]))
                    for table, key_of in KEYS_OF
                    for row in database.execute(
                        f"SELECT id FROM {table} WHERE status = 0 ORDER BY id DESC LIMIT {BATCH}"  # noqa: S608
                    )
                ]
            if not keys:
                return True
            if monotonic() > deadline:
                return False
            self._read_objects(keys)

    def read_foreign(self, key: str) -> None:
        """Record why an object without the key of a correction or review is not used."""
        try:
            data = self._store.get(key)
        except ObjectNotFound:
            return
        try:
            _parse(key, data)
            reason = f"object {key!r}: its key is not that of a correction, a review or a revision"
        except (InvalidInput, StoreUnavailable) as error:
            reason = str(error)
        self._writer.write_damaged(key, reason)

    def resolve_products(self, deadline: float) -> None:
        """Read the products of corrections that were accepted while the store was unavailable."""
        with self._database.read() as database:
            rows = database.execute(
                "SELECT id, prediction_id, attempts FROM corrections WHERE status = 1 AND agreement_key IS NULL "
                "AND retry_at <= ? ORDER BY retry_at LIMIT ?",
                (int(time()), BATCH),
            ).fetchall()
        for identifier, prediction_id, attempts in rows:
            if monotonic() > deadline:
                return
            self._resolve_product(identifier, to_text(prediction_id), attempts)

    def read_confidences(self) -> bool:
        """Read the predictions of a batch of corrections; return whether there may be more.

        Corrections found in the store name a prediction, but not its confidence. Those of this process have it.
        """
        with self._database.read() as database:
            rows = database.execute(
                "SELECT id, prediction_id FROM corrections WHERE status = 1 AND confidence = 2 "
                "AND agreement_key IS NOT NULL ORDER BY id DESC LIMIT ?",
                (BATCH,),
            ).fetchall()
        if rows:
            with ThreadPoolExecutor(READERS if len(rows) >= MIN_PARALLEL else 1, "read") as pool:
                found = list(pool.map(self._read_confidence, (to_text(row[1]) for row in rows)))
            self._writer.write_confidences(zip(found, (row[0] for row in rows), strict=True))
        return len(rows) == BATCH

    def _read_objects(self, keys: Sequence[str]) -> None:
        """Read and index objects; after an error of the store, those that were read before it."""
        found: list[PreparedRecord] = []
        error: StoreUnavailable | None = None
        if len(keys) < MIN_PARALLEL:
            results: Iterable[PreparedRecord | StoreUnavailable] = map(self._read_object, keys)
        else:
            with ThreadPoolExecutor(READERS, "read") as pool:
                results = list(pool.map(self._read_object, keys))
        for result in results:
            if isinstance(result, StoreUnavailable):
                error = result
                break
            found.append(result)
        self._writer.write(found)
        if error is not None:
            raise error

    def _read_object(self, key: str) -> PreparedRecord | StoreUnavailable:
        try:
            data = self._store.get(key)
        except ObjectNotFound:
            return PreparedRecord(key, None, "")
        except StoreUnavailable as error:
            return error
        try:
            return prepare(_parse(key, data), key)
        except (InvalidInput, StoreUnavailable, ValueError, OverflowError, RecursionError) as error:
            return PreparedRecord(key, None, str(error) or type(error).__name__)

    def _read_confidence(self, prediction_id: str) -> float:
        try:
            return read_prediction(self._store, prediction_id).confidence
        except (ObjectNotFound, InvalidInput):
            return UNKNOWN_CONFIDENCE

    def _resolve_product(self, identifier: bytes, prediction_id: str, attempts: int) -> None:
        try:
            product = read_prediction(self._store, prediction_id).product
        except (ObjectNotFound, InvalidInput):
            pause_s = min(10 * 2 ** min(attempts - RESOLVED_AT_ONCE, 20), MAX_RESOLVE_PAUSE_S)
            with self._database.write() as database:
                database.execute(
                    "UPDATE corrections SET attempts = attempts + 1, retry_at = ? WHERE id = ?",
                    (int(time() + pause_s) if attempts >= RESOLVED_AT_ONCE else 0, identifier),
                )
        else:
            self._writer.write_product(identifier, product)


def _parse(key: str, data: bytes) -> FeedbackRecord:
    record: FeedbackRecord = record_kind(key).from_json(data, key)
    if key != record.key:
        raise InvalidInput(f"object {key!r}: its feedback_id belongs to key {record.key!r}")
    return record
