"""An index of the predictions in the object store, in a SQLite file.

    index = PredictionIndex(store, StoredTaxonomy(store), path=Path("state/predictions.sqlite"), store_name=url)
    index.refresh()
    page = index.page(PredictionFilter(decision="review"), limit=50)

Records are immutable, and their ids are in the order of time: a refresh lists from the newest known id on. Older days
are listed one after the other, which finds what a gateway wrote late, and removes what was deleted.
"""

import threading
from collections.abc import Callable, Iterable, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from datetime import UTC, date, datetime
from math import inf
from pathlib import Path
from time import monotonic

from product_classifier.decisions import Decision
from product_classifier.errors import InvalidInput, ObjectNotFound, StoreUnavailable, UnknownPrediction
from product_classifier.feedback.index_database import IndexDatabase
from product_classifier.feedback.index_rows import content_version, to_blob, to_text
from product_classifier.feedback.object_listing import Layout, ListedTable, ObjectListing
from product_classifier.feedback.prediction_rows import (
    SCHEMA,
    SCHEMA_VERSION,
    SELECT_PREDICTIONS,
    IndexedPrediction,
    number_from,
    prediction_of,
)
from product_classifier.feedback.prediction_writer import PredictionWriter
from product_classifier.feedback.records import PREDICTIONS_PREFIX, PredictionRecord, prediction_key
from product_classifier.feedback.search_terms import match_expression
from product_classifier.store import ObjectStore
from product_classifier.stored_taxonomy.change_store import StoredTaxonomy

LATE_S = 600.0
"""Time that a gateway may take to write a record, and clocks may differ; the listing of older days finds later ones."""
LAYOUT = Layout(PREDICTIONS_PREFIX, {"predictions": ListedTable(".json", prediction_key)}, late_s=LATE_S)
READERS = 8
MIN_PARALLEL = 32
"""New objects from which threads read them: each read costs a round trip."""
BATCH = 256


@dataclass(frozen=True, slots=True)
class PredictionFilter:
    """Which predictions are listed; None and "" stand for any."""

    user: str | None = None
    since: datetime | None = None
    until: datetime | None = None
    category: str | None = None
    """Code in the newest version of the taxonomy."""
    decision: Decision | None = None
    release: str | None = None
    q: str = ""
    """Words of the product."""


@dataclass(frozen=True, slots=True)
class PredictionIndexPage:
    """Predictions, newest first, and the cursor of the next page."""

    items: Sequence[IndexedPrediction]
    next_cursor: str | None


class PredictionIndex:
    """The predictions under `predictions/`. Thread-safe; memory does not grow with their number.

    Each method raises `IndexUnavailable` if the file cannot be used.
    """

    def __init__(
        self,
        store: ObjectStore,
        taxonomy: StoredTaxonomy,
        path: Path | None = None,
        *,
        store_name: str = "",
        today: Callable[[], date] = lambda: datetime.now(UTC).date(),
    ) -> None:
        """Open the index, or create an empty one that `refresh` fills.

        Args:
            store: Where predictions are.
            taxonomy: In whose newest version categories are filtered.
            path: File of the index; None for one in memory, for a small history.
            store_name: URL of the store; an index of another store is built again.
            today: Returns the current day (UTC).
        """
        version = f"{SCHEMA_VERSION} {content_version()} {store_name}"
        self._database = IndexDatabase(path, version, SCHEMA, "predictions")
        self._store = store
        self._taxonomy = taxonomy
        self._today = today
        self._writer = PredictionWriter(self._database)
        self._listing = ObjectListing(store, self._database, self._writer, LAYOUT, self._writer.write_foreign)
        self._refreshing = threading.Lock()
        self._complete_generation = -1

    @property
    def is_complete(self) -> bool:
        """Whether all objects of the store have been read once; until then, the oldest are missing."""
        return self._complete_generation == self._database.generation

    def refresh(self, budget_s: float = inf) -> bool:
        """Index predictions added since the last call; return False if the time was not enough for all.

        Raises:
            StoreUnavailable: If the store cannot be reached; what was read before the error stays indexed.
        """
        deadline = monotonic() + budget_s
        with self._refreshing:
            generation = self._database.generation
            self._listing.list_newest(self._today())
            if not self._read_listed(deadline):
                return False
            if self.is_complete and monotonic() >= self._listing.sweep_due:
                self._listing.sweep_next_day()
                self._read_listed(deadline)
            self._complete_generation = generation
            return self.is_complete

    def sweep(self) -> None:
        """List every day and index what is new, remove what was deleted. Raises what `refresh` raises."""
        with self._refreshing:
            self._listing.start_sweep()
            while self._listing.sweep_next_day():
                pass
            self._read_listed(inf)

    def get(self, prediction_id: str) -> IndexedPrediction | None:
        """Return a prediction, or None if it is not indexed."""
        found = self.find([prediction_id])
        return found.get(prediction_id)

    def find(self, prediction_ids: Iterable[str]) -> dict[str, IndexedPrediction]:
        """Return the indexed ones of some predictions, by id."""
        blobs = [to_blob(one) for one in prediction_ids]
        marks = ", ".join("?" * len(blobs))
        with self._database.read() as database:
            rows = database.execute(f"{SELECT_PREDICTIONS} WHERE p.status = 1 AND p.id IN ({marks})", blobs)
            return {one.prediction_id: one for one in map(prediction_of, rows)}

    def page(self, chosen: PredictionFilter, *, limit: int, cursor: str | None = None) -> PredictionIndexPage:
        """Return predictions after the one whose id is the cursor, newest first.

        Raises:
            UnknownPrediction: If no such page ends with the cursor.
            InvalidInput: If `q` has no letter and no digit.
        """
        conditions, values = self._conditions(chosen)
        words = "JOIN words w ON w.rowid = p.number" if chosen.q else ""
        if chosen.q:
            conditions.append("words MATCH ?")
            values.append(match_expression(chosen.q))
        order = "w.rowid" if chosen.q else "p.number"
        with self._database.read() as database:
            if cursor is not None:
                own = "SELECT number FROM predictions WHERE status = 1 AND id = ? AND (? IS NULL OR user = ?)"
                row = database.execute(own, (to_blob(cursor), chosen.user, chosen.user)).fetchone()
                if row is None:
                    raise UnknownPrediction(f"cursor: no page ends with {cursor!r}; start again without it")
                conditions.append(f"{order} < ?")
                values.append(row[0])
            where = " AND ".join(conditions)
            query = f"{SELECT_PREDICTIONS} {words} WHERE {where} ORDER BY {order} DESC LIMIT ?"
            items = [prediction_of(one) for one in database.execute(query, (*values, limit + 1))]
        more = len(items) > limit
        return PredictionIndexPage(items[:limit], items[limit - 1].prediction_id if more else None)

    def with_photo(self, sha256: str, limit: int) -> list[IndexedPrediction]:
        """Return some predictions of products with a photo."""
        return self._select("p.status = 1 AND p.image_sha256 = ? LIMIT ?", sha256, limit)

    def uncertain(self, since: datetime, limit: int) -> list[IndexedPrediction]:
        """Return the least confident predictions from a time on that are not marked as labelled."""
        condition = "p.status = 1 AND p.labelled = 0 AND p.number >= ? ORDER BY p.confidence, p.number LIMIT ?"
        return self._select(condition, number_from(since), limit)

    def differing(self, since: datetime, limit: int) -> list[IndexedPrediction]:
        """Return the newest unlabelled predictions from a time on whose text and photo disagree."""
        condition = (
            "p.status = 1 AND p.labelled = 0 AND p.models_differ = 1 AND p.number >= ? ORDER BY p.number DESC LIMIT ?"
        )
        return self._select(condition, number_from(since), limit)

    def mark_labelled(self, prediction_ids: Iterable[str]) -> None:
        """Mark predictions, which `uncertain` and `differing` do not return any more."""
        with self._database.write() as database:
            rows = [(to_blob(one),) for one in prediction_ids]
            database.executemany("UPDATE predictions SET labelled = 1 WHERE id = ?", rows)

    def has_photo(self, sha256: str, user: str) -> bool:
        """Return whether a prediction of the user is of a product with this photo."""
        query = "SELECT 1 FROM predictions WHERE status = 1 AND image_sha256 = ? AND user = ? LIMIT 1"
        return self._database.value(query, sha256, user) is not None

    def close(self) -> None:
        """Close the file."""
        self._database.close()

    def _select(self, condition: str, *values: object) -> list[IndexedPrediction]:
        with self._database.read() as database:
            rows = database.execute(f"{SELECT_PREDICTIONS} WHERE {condition}", values)
            return [prediction_of(row) for row in rows]

    def _conditions(self, chosen: PredictionFilter) -> tuple[list[str], list[object]]:
        conditions: list[str] = ["p.status = 1"]
        values: list[object] = []
        for column, value in (("user", chosen.user), ("decision", chosen.decision), ("release", chosen.release)):
            if value is not None:
                conditions.append(f"p.{column} = ?")
                values.append(value)
        for comparison, moment in ((">=", chosen.since), ("<", chosen.until)):
            if moment is not None:
                conditions.append(f"p.number {comparison} ?")
                values.append(number_from(moment))
        if chosen.category is not None:
            codes = self._codes_read_as(chosen.category)
            conditions.append(f"p.code IN ({', '.join('?' * len(codes))})" if len(codes) > 1 else "p.code = ?")
            values.extend(codes)
        return conditions, values

    def _codes_read_as(self, category: str) -> list[str]:
        """Return the codes of records that the newest version of the taxonomy reads as a category; not empty.

        A code that means two things in two versions is one of them if any version of it is read as the category.
        """
        with self._database.read() as database:
            pairs = database.execute("SELECT code, taxonomy_version FROM codes").fetchall()
        found = {code for code, version in pairs if self._taxonomy.read(code, version).code == category}
        return sorted(found) or [category]

    def _read_listed(self, deadline: float) -> bool:
        """Read the objects that are listed only, newest first; return False if the time was not enough."""
        while True:
            with self._database.read() as database:
                query = "SELECT id FROM predictions WHERE status = 0 ORDER BY number DESC LIMIT ?"
                keys = [prediction_key(to_text(row[0])) for row in database.execute(query, (BATCH,))]
            if not keys:
                return True
            if monotonic() > deadline:
                return False
            self._read_objects(keys)

    def _read_objects(self, keys: Sequence[str]) -> None:
        if len(keys) < MIN_PARALLEL:
            found = [self._read_object(key) for key in keys]
        else:
            with ThreadPoolExecutor(READERS, "read-predictions") as pool:
                found = list(pool.map(self._read_object, keys))
        self._writer.write(zip(keys, found, strict=True))

    def _read_object(self, key: str) -> PredictionRecord | str:
        """Return a record, or why it is damaged; "" if it was deleted."""
        try:
            data = self._store.get(key)
        except ObjectNotFound:
            return ""
        try:
            record = PredictionRecord.from_json(data, key)
        except (InvalidInput, StoreUnavailable, ValueError, RecursionError) as error:
            return str(error) or type(error).__name__
        return record if record.key == key else f"object {key!r}: its prediction_id belongs to key {record.key!r}"
