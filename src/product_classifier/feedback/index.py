"""An index of the corrections and reviews in the object store, in a SQLite file.

    index = FeedbackIndex(store, taxonomy, path=Path("state/feedback-index.sqlite"), store_name=url)
    index.refresh()
    page = index.page(limit=50)

Objects are immutable, so each is read once, and the keys of its product are computed then. The states and the label of
a product are computed again only when a correction or review of that product arrives. An object that cannot be parsed,
or has a category code outside the taxonomy, is recorded in `damaged` with the reason and skipped.

New objects are found in three ways: those this process has stored are added by `add`; each refresh lists the newest
days; and one older day after the other is listed, which finds what another server wrote there late.
"""

import hashlib
import re
import threading
import uuid
from collections.abc import Callable, Iterable, Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager, suppress
from dataclasses import dataclass
from datetime import UTC, date, datetime, timedelta
from functools import cache
from itertools import islice
from math import inf
from pathlib import Path
from sqlite3 import Connection
from time import monotonic, thread_time, time
from typing import Any, Literal, NamedTuple

from product_classifier.errors import (
    IndexUnavailable,
    InvalidInput,
    ObjectNotFound,
    StoreUnavailable,
    UnknownCategory,
    UnknownFeedback,
)
from product_classifier.feedback.index_database import IndexDatabase
from product_classifier.feedback.records import (
    REVIEW_SUFFIX,
    Correction,
    PredictionRecord,
    ProductContent,
    Record,
    Review,
    Role,
    correction_key,
    day_of,
    prediction_key,
    review_key,
)
from product_classifier.feedback.trust import (
    Label,
    State,
    agreement_key,
    own_state,
    product_key,
    product_label,
    product_states,
)
from product_classifier.limits import LISTED_CHARACTERS
from product_classifier.observability import get_logger
from product_classifier.store import ObjectStore
from product_classifier.store.object_keys import FEEDBACK_PREFIX
from product_classifier.taxonomy import Taxonomy
from product_classifier.text import spelling

MIN_PARALLEL = 32
READERS = 8
"""Threads that read objects when at least `MIN_PARALLEL` are new; each read costs a round trip."""
BATCH = 256
"""Objects that are read and then indexed in one transaction; other writers wait for that long."""
LISTED_KEYS = 5000
"""Keys of a listing that are compared with the index at once."""
LABEL_ROWS = 1000
CHEAP_LISTING_S = 0.1
LISTING_SHARE = 0.05
"""Largest share of a core that listings take; after one that is not cheap the next one waits accordingly."""
SWEEP_PAUSE_S = 5.0
"""Least pause between the listings of two older days, and the one until each has been listed once."""
SWEEP_PERIOD_S = 86_400.0
"""Time in which each older day is listed once afterwards."""
MAX_REMOVED = 1000
"""Objects missing in one part of a listing that are looked up one by one before they leave the index."""
LARGE_PRODUCT = 1000
"""Corrections of one product from which its states are not computed at once every time."""
LARGE_PRODUCT_SHARE = 0.02
"""Share of the time that computing the states of such products may take."""
RESOLVED_AT_ONCE = 8
MAX_RESOLVE_PAUSE_S = 6 * 3600
MAX_DAMAGED = 1000
EPOCH = datetime(1970, 1, 1, tzinfo=UTC)
MICROSECOND = timedelta(microseconds=1)
LISTED, READ, DAMAGED = 0, 1, 2
KEY = re.compile(
    r"feedback/dt=(\d{4}-\d\d-\d\d)/"
    r"([0-9a-f]{8}-[0-9a-f]{4}-7[0-9a-f]{3}-[89ab][0-9a-f]{3}-[0-9a-f]{12})(\.review)?\.json"
)
SAMPLE_PRODUCTS = (
    ProductContent(designation="Chemise  BLEUE", description="<p>Coton&nbsp;&eacute;pais, taille n°38</p>"),
    ProductContent(designation="e\u0301te\u0301 ﬁn ΑΣ ß İ", description="1.234,50 € l'été; \u200bmots-clés"),
    ProductContent(designation="", description="a" * 600 + " " + "mot " * 100, image_sha256="0" * 64),
    ProductContent(image_sha256="f" * 64),
)
"""Products whose keys reveal a change of the keys for which nobody changed the version."""

log = get_logger()


@dataclass(frozen=True, slots=True)
class IndexedCorrection:
    """A correction with its state and review; long texts of the product are cut, see `LISTED_CHARACTERS`."""

    feedback_id: str
    created: datetime
    user: str
    role: Role
    code: int
    predicted: int | None
    release: str | None
    comment: str
    prediction_id: str | None
    product: ProductContent | None
    is_cut: bool
    state: State
    reviewer: str | None
    reviewed: datetime | None


@dataclass(frozen=True, slots=True)
class IndexPage:
    """Corrections, newest first, the cursor of the next page, and how many match on all pages."""

    items: Sequence[IndexedCorrection]
    next_cursor: str | None
    total: int


class _Vote(NamedTuple):
    created: datetime
    feedback_id: str
    user: str
    role: Role
    code: int


class _Decision(NamedTuple):
    created: datetime
    decision: Literal["approved", "rejected"]


class FeedbackIndex:
    """The corrections and reviews under `feedback/`. Thread-safe; memory does not grow with their number."""

    def __init__(
        self,
        store: ObjectStore,
        taxonomy: Taxonomy,
        path: Path | None = None,
        *,
        store_name: str = "",
        today: Callable[[], date] = lambda: datetime.now(UTC).date(),
    ) -> None:
        """Open the index, or create an empty one that `refresh` fills.

        Args:
            store: Where corrections and reviews are.
            taxonomy: Their categories.
            path: File of the index; None for one in memory, for a small history.
            store_name: URL of the store; an index of another store is built again.
            today: Returns the current day (UTC).
        """
        self._store = store
        self._taxonomy = taxonomy
        self._today = today
        self._database = IndexDatabase(path, f"{_content_version(taxonomy)} {store_name}")
        self._refreshing = threading.Lock()
        self._listing = threading.Lock()
        self._listed_on: tuple[int, str] | None = None
        self._complete_generation = -1
        self._listing_due = self._sweep_due = self._large_due = -inf
        self._sweep_after = ""
        self._swept_ids = b""
        self._sweep_pause_s = SWEEP_PAUSE_S
        self._swept_days = 0
        self.is_pending: Callable[[str], bool] = lambda _: False
        """Returns whether an object is acknowledged and not yet in the store; it stays indexed."""
        self._retry_damaged()

    @property
    def is_complete(self) -> bool:
        """Whether all objects of the store have been read once; until then, results are preliminary."""
        return self._complete_generation == self._database.generation

    @property
    def damaged(self) -> dict[str, str]:
        """Reasons by key of the objects that cannot be used, at most `MAX_DAMAGED`."""
        with self._database.read() as database:
            return dict(database.execute("SELECT key, reason FROM damaged LIMIT ?", (MAX_DAMAGED,)))

    def damaged_count(self) -> int:
        """Return the number of objects that cannot be used."""
        return self._count("SELECT count(*) FROM damaged")

    def unread_count(self) -> int:
        """Return the number of objects that are listed and not yet read."""
        return self._count(
            "SELECT (SELECT count(*) FROM corrections WHERE status = 0) + "
            "(SELECT count(*) FROM reviews WHERE status = 0)"
        )

    def refresh(self, budget_s: float = inf) -> bool:
        """Index objects added since the last call; return False if the time was not enough for all.

        Raises:
            StoreUnavailable: If the store cannot be reached; what was read before the error stays indexed.
            IndexUnavailable: If the file of the index cannot be used.
        """
        deadline = monotonic() + budget_s
        with self._refreshing:
            generation = self._database.generation
            self._list_new()
            if not self._read_listed(deadline):
                return False
            self._resolve_products(deadline)
            self._settle_postponed()
            if self.is_complete and monotonic() >= self._sweep_due:
                self._sweep_next_day()
                self._read_listed(deadline)
            self._complete_generation = generation
            return self.is_complete

    def sweep(self) -> None:
        """List every day and index what is new, remove what was deleted. Raises what `refresh` raises."""
        with self._refreshing:
            self._sweep_after, self._swept_ids = "", b""
            while self._sweep_next_day():
                pass
            self._read_listed(inf)

    def add(self, record: Correction | Review, *, replace: bool = False) -> None:
        """Index a record that the caller has stored or found; after an error the next refresh finds it.

        Args:
            record: A correction or review.
            replace: Whether it is indexed in the place of another one of its id.
        """
        try:
            prepared = self._prepare(record, record.key)
            with self._database.write() as database:
                self._ingest(database, [prepared], replace=replace)
        except (IndexUnavailable, ValueError, OverflowError, RecursionError) as error:
            log.warning("correction_not_indexed", key=record.key, reason=str(error))

    def check_codes(self, record: Record) -> None:
        """Raise `StoreUnavailable`, as for a malformed object, if a correction has an unknown code."""
        if not isinstance(record, Correction):
            return
        try:
            for code in {record.code, record.code if record.predicted is None else record.predicted}:
                self._taxonomy.index_of(code)
        except UnknownCategory as error:
            raise StoreUnavailable(f"object {record.key!r} is not a Correction: {error}") from error

    # Ids

    def ensure_listed(self, now: datetime) -> None:
        """List, once a day, the ids that were added before today; raise `StoreUnavailable` if that fails."""
        day = now.astimezone(UTC).date().isoformat()
        if self._listed_on == (self._database.generation, day):
            return
        with self._listing:
            generation = self._database.generation
            if self._listed_on == (generation, day):
                return
            listed = self._meta("listed_on")
            self._list_from("" if listed is None else _days_prefix(min(listed, day), -1))
            with self._database.write() as database:
                _set_meta(database, "listed_on", day)
            self._listed_on = (generation, day)

    def find_id(self, identity: bytes) -> str | None:
        """Return the oldest id that ends with these 10 bytes, None if there is none."""
        with self._database.read() as database:
            row = database.execute("SELECT min(id) FROM corrections WHERE substr(id, 7) = ?", (identity,)).fetchone()
        return None if row[0] is None else _text(row[0])

    # Corrections

    def get(self, feedback_id: str) -> IndexedCorrection | None:
        """Return a correction, or None if it is not indexed."""
        try:
            correction_key(feedback_id)
        except InvalidInput:
            return None
        with self._database.read() as database:
            row = database.execute(f"{_SELECT} AND c.id = ?", (_blob(feedback_id),)).fetchone()
        return None if row is None else _correction_of(row)

    def replaced_by(self, correction: Correction) -> IndexedCorrection | None:
        """Return the newest earlier correction of the user and product, if it has another category."""
        subjects = [("c.prediction_id", None if correction.prediction_id is None else _blob(correction.prediction_id))]
        if correction.product is not None:
            subjects.append(("c.agreement_key", _keys_of(correction.product)[1]))
        found, own = [], _blob(correction.feedback_id)
        try:
            with self._database.read() as database:
                for column, value in subjects:
                    query = f"{_SELECT} AND {column} = ? AND c.user = ? AND c.id <> ?"
                    query += " ORDER BY c.created DESC, c.id DESC LIMIT 1"
                    found += database.execute(query, (value, correction.user, own)).fetchall()
        except IndexUnavailable as error:
            log.warning("replaced_correction_unknown", key=correction.key, reason=str(error))
        last = max(map(_correction_of, found), key=lambda one: (one.created, one.feedback_id), default=None)
        return last if last is not None and last.code != correction.code else None

    def page(
        self, *, limit: int, state: State | None = None, user: str | None = None, cursor: str | None = None
    ) -> IndexPage:
        """Return corrections, newest first, after the one whose id is the cursor.

        Args:
            limit: Corrections of the page.
            state: Only those in this state.
            user: Only those of this user.
            cursor: Id of the last correction on the page before.

        Raises:
            UnknownFeedback: If no such page ends with the cursor.
        """
        conditions, values = [], []
        if user is not None:
            conditions.append("c.user = ?")
            values.append(user)
        with self._database.read() as database:
            if cursor is not None:
                found = database.execute(
                    " AND ".join(
                        ["SELECT c.created, c.id FROM corrections c WHERE c.status = 1 AND c.id = ?", *conditions]
                    ),
                    (_blob(cursor), *values),
                ).fetchone()
                if found is None:
                    raise UnknownFeedback(f"cursor: no page ends with {cursor!r}; start again without it")
            if state is not None:
                conditions.append("c.state = ?")
                values.append(state)
            total = _total(database, state, user)
            if cursor is not None:
                conditions.append("(c.created, c.id) < (?, ?)")
                values.extend(found)
            query = " AND ".join([_SELECT, *conditions]) + " ORDER BY c.created DESC, c.id DESC LIMIT ?"
            items = [_correction_of(row) for row in database.execute(query, (*values, limit + 1))]
        more = len(items) > limit
        return IndexPage(items[:limit], items[limit - 1].feedback_id if more else None, total)

    def count_of_day(self, user: str, day: date) -> int:
        """Return how many corrections a user submitted on a day (UTC)."""
        number = (day - EPOCH.date()).days
        return self._count("SELECT coalesce(max(n), 0) FROM day_counts WHERE user = ? AND day = ?", user, number)

    def states(self) -> dict[str, State]:
        """Return the state of every correction by feedback id; for small histories."""
        with self._database.read() as database:
            rows = database.execute("SELECT id, state FROM corrections WHERE status = 1")
            return {_text(identifier): state for identifier, state in rows}

    def corrections(self) -> list[IndexedCorrection]:
        """Return every correction, in no particular order; for small histories."""
        with self._database.read() as database:
            return [_correction_of(row) for row in database.execute(_SELECT)]

    def labels(self) -> tuple[Label, ...]:
        """Return the labels of all products, sorted by feedback id; for small histories."""
        with self.open_labels() as labels:
            return tuple(sorted(labels, key=lambda label: label.feedback_id))

    # Labels and the watermark

    def new_label_count(self) -> int:
        """Return the number of labels that are not in the watermark, see `set_watermark`."""
        return self._count("SELECT n FROM totals WHERE name = 'new_labels'")

    @contextmanager
    def open_labels(self) -> Iterator["LabelReader"]:
        """Yield the labels of one moment, which may be read repeatedly."""
        with self._database.read() as database:
            yield LabelReader(database, self._full_product)

    @property
    def watermark(self) -> str:
        """Name of the watermark given to `set_watermark`, "" at first."""
        return self._meta("watermark") or ""

    def set_watermark(self, name: str, trained: Iterable[tuple[str, int]]) -> None:
        """Replace the watermark: labels with these product keys (hexadecimal) and codes are not new.

        Works in short transactions. If it is interrupted, `watermark` is "?" until the next call.
        """
        with self._database.write() as database:
            _set_meta(database, "watermark", "?")
            database.execute("DELETE FROM trained")
        pairs = iter(trained)
        while chunk := list(islice(pairs, LISTED_KEYS)):
            with self._database.write() as database:
                rows = [(bytes.fromhex(key), code) for key, code in chunk]
                database.executemany("INSERT OR REPLACE INTO trained VALUES (?, ?)", rows)
        last: bytes | None = b""
        while last is not None:
            with self._database.write() as database:
                last = _compare_with_watermark(database, last)
        with self._database.write() as database:
            _set_meta(database, "watermark", name)

    def close(self) -> None:
        """Close the file."""
        self._database.close()

    # Listing

    def _list_new(self) -> None:
        """List the days from yesterday on, unless that is too expensive now; at first every day."""
        if self._meta("listed_on") is None:
            self.ensure_listed(datetime.combine(self._today(), datetime.min.time(), UTC))
            return
        if monotonic() < self._listing_due:
            return
        began = thread_time()
        self._list_from(_days_prefix(self._today().isoformat(), -1))
        self._listing_due = monotonic() + _pause_after(thread_time() - began)

    def _list_from(self, start_after: str) -> None:
        keys = self._store.list(FEEDBACK_PREFIX, start_after=start_after)
        while chunk := list(islice(keys, LISTED_KEYS)):
            self._add_keys(chunk)

    def _add_keys(self, keys: Sequence[str]) -> tuple[set[bytes], set[bytes]]:
        """Add ids that are not indexed; return the ids of corrections and of reviews among the keys."""
        corrections, reviews, foreign = set(), set(), []
        for key in keys:
            found = _parse_key(key)
            if found is None:
                foreign.append(key)
            elif found[1]:
                reviews.add(found[0])
            else:
                corrections.add(found[0])
        with self._database.read() as database:
            added = [
                (table, ids - _known(database, table, ids))
                for table, ids in (("corrections", corrections), ("reviews", reviews))
                if ids
            ]
            foreign = [
                key for key in foreign if not database.execute("SELECT 1 FROM damaged WHERE key = ?", (key,)).fetchone()
            ]
        if any(ids for _, ids in added):
            with self._database.write() as database:
                for table, ids in added:
                    rows = [(one,) for one in sorted(ids)]
                    database.executemany(f"INSERT OR IGNORE INTO {table} (id) VALUES (?)", rows)  # noqa: S608
        for key in foreign:
            self._read_foreign(key)
        return corrections, reviews

    def _sweep_next_day(self) -> bool:
        """List the next of the days that have objects; return False after the last."""
        began = thread_time()
        found = (self._next_stored(), self._next_indexed())
        key = min((one for one in found if one is not None), default=None)
        if key is None:
            self._sweep_pause_s = max(SWEEP_PAUSE_S, SWEEP_PERIOD_S / max(self._swept_days, 1))
            self._sweep_due = monotonic() + self._sweep_pause_s
            self._sweep_after, self._swept_ids, self._swept_days = "", b"", 0
            return False
        folder, slash, _ = key.removeprefix(FEEDBACK_PREFIX).partition("/")
        if slash:
            self._sweep_day(folder)
            self._sweep_after = f"{FEEDBACK_PREFIX}{folder}0"  # "0" follows "/"
        else:
            self._add_keys([key])
            self._sweep_after = key
        self._swept_days += 1
        self._sweep_due = monotonic() + max(self._sweep_pause_s, _pause_after(thread_time() - began))
        return True

    def _next_stored(self) -> str | None:
        return next(iter(self._store.list(FEEDBACK_PREFIX, start_after=self._sweep_after)), None)

    def _next_indexed(self) -> str | None:
        """Return the key of an indexed object of a day that is not swept: all of a day may have been deleted."""
        keys = []
        with self._database.read() as database:
            for table, key_of in (("corrections", correction_key), ("reviews", review_key)):
                query = f"SELECT min(id) FROM {table} WHERE id > ?"  # noqa: S608
                (identifier,) = database.execute(query, (self._swept_ids,)).fetchone()
                if identifier is not None:
                    keys.append(key_of(_text(identifier)))
        return min(keys, default=None)

    def _sweep_day(self, folder: str) -> None:
        """Add the ids of a day that are not indexed; remove those that are no longer in the store."""
        bounds = _bounds_of_day(folder.removeprefix("dt="))
        begin = b"" if bounds is None else bounds[0]
        keys = iter(self._store.list(f"{FEEDBACK_PREFIX}{folder}/"))
        while chunk := list(islice(keys, LISTED_KEYS)):
            corrections, reviews = self._add_keys(chunk)
            if bounds is not None and (corrections or reviews):
                end = max(corrections | reviews)
                self._remove_missing(begin, end, corrections, reviews)
                begin = end
        if bounds is not None:
            self._remove_missing(begin, bounds[1], set(), set())
            self._swept_ids = bounds[1]

    def _remove_missing(self, begin: bytes, end: bytes, corrections: set[bytes], reviews: set[bytes]) -> None:
        """Remove the ids after `begin`, up to `end`, that were not listed and are not in the store."""
        for table, listed, key_of, delete in (
            ("corrections", corrections, correction_key, self._delete_correction),
            ("reviews", reviews, review_key, self._delete_review),
        ):
            with self._database.read() as database:
                rows = database.execute(f"SELECT id FROM {table} WHERE id > ? AND id <= ?", (begin, end))  # noqa: S608
                missing = [row[0] for row in rows if row[0] not in listed]
            for identifier in missing[:MAX_REMOVED]:
                key = key_of(_text(identifier))
                if not self.is_pending(key) and not self._store.exists(key):
                    delete(identifier)

    def _delete_correction(self, identifier: bytes) -> None:
        with self._database.write() as database:
            row = database.execute("SELECT agreement_key FROM corrections WHERE id = ?", (identifier,)).fetchone()
            database.execute("DELETE FROM corrections WHERE id = ?", (identifier,))
            if row is not None and row[0] is not None:
                self._settle(database, {row[0]})

    def _delete_review(self, identifier: bytes) -> None:
        with self._database.write() as database:
            database.execute("DELETE FROM reviews WHERE id = ?", (identifier,))
            self._settle(database, self._products_of_reviews(database, [identifier]))

    # Reading

    def _read_listed(self, deadline: float) -> bool:
        """Read the objects that are listed only, newest first; return False if the time was not enough."""
        while True:
            with self._database.read() as database:
                keys = [
                    key_of(_text(row[0]))
                    for table, key_of in (("reviews", review_key), ("corrections", correction_key))
                    for row in database.execute(
                        f"SELECT id FROM {table} WHERE status = 0 ORDER BY id DESC LIMIT {BATCH}"  # noqa: S608
                    )
                ]
            if not keys:
                return True
            if monotonic() > deadline:
                return False
            self._read_objects(keys)

    def _read_objects(self, keys: Sequence[str]) -> None:
        """Read and index objects; after an error of the store, those that were read before it."""
        found: list[_Prepared] = []
        error: StoreUnavailable | None = None
        if len(keys) < MIN_PARALLEL:
            results: Iterable[_Prepared | StoreUnavailable] = map(self._read_object, keys)
        else:
            with ThreadPoolExecutor(READERS, "read") as pool:
                results = list(pool.map(self._read_object, keys))
        for result in results:
            if isinstance(result, StoreUnavailable):
                error = result
                break
            found.append(result)
        with self._database.write() as database:
            self._ingest(database, found)
        if error is not None:
            raise error

    def _read_object(self, key: str) -> "_Prepared | StoreUnavailable":
        try:
            data = self._store.get(key)
        except ObjectNotFound:
            return _Prepared(key, None, "")
        except StoreUnavailable as error:
            return error
        try:
            record = _parse(key, data)
            self.check_codes(record)
            return self._prepare(record, key)
        except (InvalidInput, StoreUnavailable, ValueError, OverflowError, RecursionError) as error:
            return _Prepared(key, None, str(error) or type(error).__name__)

    def _prepare(self, record: Correction | Review, key: str) -> "_Prepared":
        """Compute what the index stores of a record."""
        created = _microseconds(record.created)
        _datetime(created)  # a time zone may move it out of the range
        if isinstance(record, Correction) and record.product is not None:
            return _Prepared(key, record, "", created, *_keys_of(record.product))
        return _Prepared(key, record, "", created)

    def _read_foreign(self, key: str) -> None:
        """Record why an object without the key of a correction or review is not used."""
        try:
            data = self._store.get(key)
        except ObjectNotFound:
            return
        try:
            _parse(key, data)
            reason = f"object {key!r}: its key is neither that of a correction nor of a review"
        except (InvalidInput, StoreUnavailable) as error:
            reason = str(error)
        with self._database.write() as database:
            database.execute("INSERT OR REPLACE INTO damaged VALUES (?, ?)", (key, reason))

    def _retry_damaged(self) -> None:
        """Read damaged objects again, which may have been replaced or may be valid in this version."""
        with self._database.write() as database:
            database.execute("UPDATE corrections SET status = 0 WHERE status = 2")
            database.execute("UPDATE reviews SET status = 0 WHERE status = 2")
            database.execute("DELETE FROM damaged")

    # Indexing

    def _ingest(self, database: Connection, found: Iterable["_Prepared"], *, replace: bool = False) -> None:
        """Index records in the transaction of the caller, and compute the states and labels that change."""
        dirty: set[bytes] = set()
        reviewed: list[bytes] = []
        for one in found:
            if one.record is None:
                _mark_unusable(database, one)
            elif isinstance(one.record, Review):
                reviewed.append(_put_review(database, one, one.record, replace=replace))
            else:
                dirty |= _put_correction(database, one, one.record, replace=replace)
        dirty |= self._products_of_reviews(database, reviewed)
        self._settle(database, dirty)

    def _products_of_reviews(self, database: Connection, ids: Iterable[bytes]) -> set[bytes]:
        """Return the products of reviewed corrections; update the states of those without a product."""
        products = set()
        for identifier in ids:
            row = database.execute(
                "SELECT agreement_key, role FROM corrections WHERE id = ? AND status = 1", (identifier,)
            ).fetchone()
            if row is not None and row[0] is not None:
                products.add(row[0])
            elif row is not None:
                decision = _decision_of(database, identifier)
                database.execute(
                    "UPDATE corrections SET state = ? WHERE id = ?", (own_state(row[1], decision), identifier)
                )
        return products

    def _settle(self, database: Connection, products: Iterable[bytes]) -> None:
        """Compute states and label of products, unless one is so large that it has to wait."""
        for key in products:
            if monotonic() < self._large_due and _is_large(database, key):
                database.execute("INSERT OR IGNORE INTO dirty VALUES (?)", (key,))
                continue
            began = monotonic()
            if _settle_product(database, key) >= LARGE_PRODUCT:
                self._large_due = monotonic() + (monotonic() - began) / LARGE_PRODUCT_SHARE

    def _settle_postponed(self) -> None:
        while monotonic() >= self._large_due:
            with self._database.write() as database:
                row = database.execute(
                    "DELETE FROM dirty WHERE agreement_key = (SELECT min(agreement_key) FROM dirty) "
                    "RETURNING agreement_key"
                ).fetchone()
                if row is None:
                    return
                self._settle(database, {row[0]})

    def _resolve_products(self, deadline: float) -> None:
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
            self._resolve_product(identifier, _text(prediction_id), attempts)

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
            return
        keys = _keys_of(product)
        with self._database.write() as database:
            database.execute(
                "UPDATE corrections SET designation = ?, description = ?, image_sha256 = ?, product_key = ?, "
                "agreement_key = ? WHERE id = ?",
                (*_cut(product), product.image_sha256, *keys, identifier),
            )
            self._settle(database, {keys[1]})

    def _full_product(self, feedback_id: str) -> ProductContent:
        """Read the product of a correction whose texts are cut in the index."""
        key = correction_key(feedback_id)
        data = self._store.get(key)
        try:
            correction = Correction.from_json(data, key)
        except StoreUnavailable as error:
            raise InvalidInput(str(error)) from error
        if correction.product is not None:
            return correction.product
        return read_prediction(self._store, str(correction.prediction_id)).product

    def _count(self, query: str, *values: object) -> int:
        with self._database.read() as database:
            return int(database.execute(query, values).fetchone()[0])

    def _meta(self, name: str) -> str | None:
        with self._database.read() as database:
            row = database.execute("SELECT value FROM meta WHERE name = ?", (name,)).fetchone()
        return None if row is None else str(row[0])


class LabelReader:
    """The labels of one moment, read from the index in parts; belongs to the thread that opened it."""

    def __init__(self, database: Connection, full_product: Callable[[str], ProductContent]) -> None:
        self._database = database
        self._full_product = full_product

    def __iter__(self) -> Iterator[Label]:
        """Yield all labels, sorted by product key, then the newest last."""
        rows = self._database.execute(
            "SELECT l.product_key, l.code, l.id, l.since, l.reason, c.designation, c.description, c.image_sha256 "
            "FROM labels l JOIN corrections c ON c.id = l.id ORDER BY l.product_key, l.since, l.id"
        )
        while chunk := rows.fetchmany(LABEL_ROWS):
            for key, code, identifier, since, reason, *texts in chunk:
                product, is_cut = _product_of(*texts)
                if is_cut:
                    product = self._read_product(_text(identifier))
                if product is None:
                    continue
                yield Label(key.hex(), product, code, _text(identifier), _datetime(since), reason)

    def _read_product(self, feedback_id: str) -> ProductContent | None:
        """Read a product whose texts are cut in the index; None if its object was deleted or damaged meanwhile."""
        try:
            return self._full_product(feedback_id)
        except (ObjectNotFound, InvalidInput) as error:
            log.warning("label_skipped", feedback_id=feedback_id, reason=str(error))
            return None

    def new_ids(self) -> Iterator[str]:
        """Yield the feedback ids of the labels beyond the watermark, sorted."""
        rows = self._database.execute("SELECT id FROM labels WHERE is_new = 1 ORDER BY id")
        while chunk := rows.fetchmany(LABEL_ROWS):
            yield from (_text(row[0]) for row in chunk)

    def new_count(self) -> int:
        """Return the number of labels beyond the watermark."""
        return int(self._database.execute("SELECT n FROM totals WHERE name = 'new_labels'").fetchone()[0])


class _Prepared(NamedTuple):
    """An object that was read: a record and what is computed of it, else why there is none, "" if it is missing."""

    key: str
    record: Correction | Review | None
    reason: str
    created: int = 0
    product_key: bytes | None = None
    agreement_key: bytes | None = None


def read_prediction(store: ObjectStore, prediction_id: str) -> PredictionRecord:
    """Read the record of a prediction.

    Raises:
        ObjectNotFound: If there is no such prediction.
        InvalidInput: If the id is malformed or the object cannot be parsed.
        StoreUnavailable: If the store cannot be reached.
    """
    key = prediction_key(prediction_id)
    data = store.get(key)
    try:
        return PredictionRecord.from_json(data, key)
    except StoreUnavailable as error:
        raise InvalidInput(str(error)) from error


_SELECT = (
    "SELECT c.id, c.created, c.user, c.role, c.code, c.predicted, c.release, c.comment, c.prediction_id, "
    "c.designation, c.description, c.image_sha256, c.state, r.reviewer, r.created "
    "FROM corrections c LEFT JOIN reviews r ON r.id = c.id AND r.status = 1 WHERE c.status = 1"
)


def _correction_of(row: Sequence[Any]) -> IndexedCorrection:
    identifier, created, user, role, code, predicted, release, comment, prediction_id = row[:9]
    product, is_cut = _product_of(*row[9:12])
    state, reviewer, reviewed = row[12:]
    return IndexedCorrection(
        _text(identifier),
        _datetime(created),
        user,
        role,
        code,
        predicted,
        release,
        comment,
        None if prediction_id is None else _text(prediction_id),
        product,
        is_cut,
        state,
        reviewer,
        None if reviewed is None else _datetime(reviewed),
    )


def _product_of(
    designation: str | None, description: str | None, image_sha256: str | None
) -> tuple[ProductContent | None, bool]:
    """Return a stored product, None if there is none, and whether a text of it is cut."""
    if not (designation or description or image_sha256):
        return None, False
    texts = [text or "" for text in (designation, description)]
    is_cut = any(len(text) > LISTED_CHARACTERS for text in texts)
    shown = [f"{text[:LISTED_CHARACTERS]}…" if len(text) > LISTED_CHARACTERS else text for text in texts]
    return ProductContent.model_construct(designation=shown[0], description=shown[1], image_sha256=image_sha256), is_cut


def _keys_of(product: ProductContent) -> tuple[bytes, bytes]:
    """Return the key of a product and that of all its spellings."""
    return bytes.fromhex(product_key(product)), bytes.fromhex(agreement_key(product))


def _cut(product: ProductContent) -> tuple[str, str]:
    """Return the texts of a product as stored in the index: one character more than is shown, if there are more."""
    return product.designation[: LISTED_CHARACTERS + 1], product.description[: LISTED_CHARACTERS + 1]


def _put_correction(database: Connection, one: _Prepared, record: Correction, *, replace: bool) -> set[bytes]:
    """Write the row of a correction; return the products whose states change."""
    identifier = _blob(record.feedback_id)
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
    texts = ("", "") if record.product is None else _cut(record.product)
    database.execute(
        "UPDATE corrections SET status = 1, created = ?, user = ?, role = ?, code = ?, predicted = ?, release = ?, "
        "comment = ?, prediction_id = ?, designation = ?, description = ?, image_sha256 = ?, product_key = ?, "
        "agreement_key = ?, state = ? WHERE id = ?",
        (
            one.created,
            record.user,
            record.role,
            record.code,
            record.predicted,
            record.release,
            record.comment,
            None if record.prediction_id is None else _blob(record.prediction_id),
            *texts,
            None if record.product is None else record.product.image_sha256,
            one.product_key,
            one.agreement_key,
            own_state(record.role, _decision_of(database, identifier)),
            identifier,
        ),
    )
    return dirty


def _put_review(database: Connection, one: _Prepared, record: Review, *, replace: bool) -> bytes:
    """Write the row of a review unless it has one; return its id."""
    identifier = _blob(record.feedback_id)
    database.execute(
        "INSERT INTO reviews VALUES (?, 1, ?, ?, ?) ON CONFLICT DO UPDATE SET status = 1, created = excluded.created, "
        "reviewer = excluded.reviewer, decision = excluded.decision WHERE reviews.status <> 1 OR ?",
        (identifier, one.created, record.reviewer, record.decision, replace),
    )
    return identifier


def _mark_unusable(database: Connection, one: _Prepared) -> None:
    """Record the reason of a damaged object; forget one that was deleted after it was listed."""
    found = _parse_key(one.key)
    assert found is not None  # noqa: S101 - the key was made from an id
    table = "reviews" if found[1] else "corrections"
    if not one.reason:
        database.execute(f"DELETE FROM {table} WHERE id = ? AND status = 0", (found[0],))  # noqa: S608
        return
    database.execute(f"UPDATE {table} SET status = 2 WHERE id = ? AND status = 0", (found[0],))  # noqa: S608
    database.execute("INSERT OR REPLACE INTO damaged VALUES (?, ?)", (one.key, one.reason))


def _decision_of(database: Connection, identifier: bytes) -> Literal["approved", "rejected"] | None:
    row = database.execute("SELECT decision FROM reviews WHERE id = ? AND status = 1", (identifier,)).fetchone()
    return None if row is None else row[0]


def _settle_product(database: Connection, key: bytes) -> int:
    """Compute states and label of a product; return the number of its corrections."""
    rows = database.execute(
        "SELECT c.id, c.created, c.user, c.role, c.code, c.state, r.created, r.decision FROM corrections c "
        "LEFT JOIN reviews r ON r.id = c.id AND r.status = 1 WHERE c.status = 1 AND c.agreement_key = ?",
        (key,),
    ).fetchall()
    group = [_Vote(_datetime(row[1]), row[0].hex(), *row[2:5]) for row in rows]
    reviews = {row[0].hex(): _Decision(_datetime(row[6]), row[7]) for row in rows if row[7] is not None}
    found = product_states(group, reviews)
    changed = [(found[row[0].hex()], row[0]) for row in rows if found[row[0].hex()] != row[5]]
    database.executemany("UPDATE corrections SET state = ? WHERE id = ?", changed)
    label = product_label(group, reviews)
    if label is None:
        database.execute("DELETE FROM labels WHERE agreement_key = ?", (key,))
        return len(rows)
    identifier = bytes.fromhex(label.feedback_id)
    (spelling_key,) = database.execute("SELECT product_key FROM corrections WHERE id = ?", (identifier,)).fetchone()
    trained = database.execute("SELECT code FROM trained WHERE product_key = ?", (spelling_key,)).fetchone()
    is_new = trained is None or trained[0] != label.code
    database.execute(
        "INSERT INTO labels VALUES (?, ?, ?, ?, ?, ?, ?) ON CONFLICT DO UPDATE SET product_key = excluded.product_key, "
        "code = excluded.code, id = excluded.id, since = excluded.since, reason = excluded.reason, "
        "is_new = excluded.is_new",
        (key, spelling_key, label.code, identifier, _microseconds(label.since), label.reason, is_new),
    )
    return len(rows)


def _is_large(database: Connection, key: bytes) -> bool:
    query = "SELECT 1 FROM corrections WHERE status = 1 AND agreement_key = ? LIMIT 1 OFFSET ?"
    return database.execute(query, (key, LARGE_PRODUCT - 1)).fetchone() is not None


def _compare_with_watermark(database: Connection, after: bytes) -> bytes | None:
    """Mark the labels of the next products as new or not; return the key of the last one, None at the end."""
    row = database.execute(
        "SELECT agreement_key FROM labels WHERE agreement_key > ? ORDER BY agreement_key LIMIT 1 OFFSET ?",
        (after, LISTED_KEYS - 1),
    ).fetchone()
    last = None if row is None else bytes(row[0])
    is_new = "NOT EXISTS (SELECT 1 FROM trained t WHERE t.product_key = labels.product_key AND t.code = labels.code)"
    bounds, values = ("> ?", (after,)) if last is None else ("> ? AND agreement_key <= ?", (after, last))
    query = f"UPDATE labels SET is_new = {is_new} WHERE agreement_key {bounds} AND is_new <> {is_new}"  # noqa: S608
    database.execute(query, values)
    return last


def _total(database: Connection, state: State | None, user: str | None) -> int:
    conditions = [(name, value) for name, value in (("user", user), ("state", state)) if value is not None]
    table = "state_counts" if user is None else "user_counts"
    where = " AND ".join(["1", *(f"{name} = ?" for name, _ in conditions)])
    query = f"SELECT coalesce(sum(n), 0) FROM {table} WHERE {where}"  # noqa: S608
    return int(database.execute(query, [value for _, value in conditions]).fetchone()[0])


def _known(database: Connection, table: str, ids: set[bytes]) -> set[bytes]:
    """Return the ids that are in a table, in one range scan."""
    rows = database.execute(f"SELECT id FROM {table} WHERE id BETWEEN ? AND ?", (min(ids), max(ids)))  # noqa: S608
    return {row[0] for row in rows}


def _set_meta(database: Connection, name: str, value: str) -> None:
    database.execute("INSERT OR REPLACE INTO meta VALUES (?, ?)", (name, value))


def _parse_key(key: str) -> tuple[bytes, bool] | None:
    """Return the id in a key and whether it is that of a review; None for any other key."""
    found = KEY.fullmatch(key)
    if found is None:
        return None
    try:
        if day_of(found[2]) != found[1]:
            return None
    except InvalidInput:
        return None
    return _blob(found[2]), found[3] is not None


def _parse(key: str, data: bytes) -> Correction | Review:
    record: Correction | Review
    if key.endswith(REVIEW_SUFFIX):
        record = Review.from_json(data, key)
        expected = review_key(record.feedback_id)
    else:
        record = Correction.from_json(data, key)
        expected = correction_key(record.feedback_id)
    if key != expected:
        raise InvalidInput(f"object {key!r}: its feedback_id belongs to key {expected!r}")
    return record


def _pause_after(listing_s: float) -> float:
    """Return the pause after a listing, so that listings take at most `LISTING_SHARE` of the time."""
    return listing_s / LISTING_SHARE if listing_s > CHEAP_LISTING_S else 0.0


def _days_prefix(day: str, days: int) -> str:
    """Return the text that all keys from some days after `day` on sort after."""
    with suppress(OverflowError):
        return f"{FEEDBACK_PREFIX}dt={date.fromisoformat(day) + timedelta(days=days)}"
    return ""


def _bounds_of_day(day: str) -> tuple[bytes, bytes] | None:
    """Return the ids between which those of a day are; None if it is not a day."""
    try:
        first = datetime.combine(date.fromisoformat(day), datetime.min.time(), UTC)
        begin = (first - EPOCH) // timedelta(milliseconds=1)
        return begin.to_bytes(6, "big"), (begin + 86_400_000).to_bytes(6, "big")
    except (ValueError, OverflowError):
        return None


@cache
def _content_version(taxonomy: Taxonomy) -> str:
    """Return a text that differs if product keys or codes of the stored rows would be others."""
    keys = [key(product) for product in SAMPLE_PRODUCTS for key in (product_key, agreement_key)]
    text = "\n".join([str(spelling.VERSION), str(LISTED_CHARACTERS), *keys, *map(str, sorted(taxonomy.codes))])
    return hashlib.sha256(text.encode()).hexdigest()[:16]


def _microseconds(moment: datetime) -> int:
    return (moment - EPOCH) // MICROSECOND


def _datetime(microseconds: int) -> datetime:
    return EPOCH + timedelta(microseconds=microseconds)


def _blob(identifier: str) -> bytes:
    return uuid.UUID(identifier).bytes


def _text(identifier: bytes) -> str:
    return str(uuid.UUID(bytes=identifier))
