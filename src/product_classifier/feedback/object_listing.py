"""Lists the objects of an index by day: adds new ones to the index, removes deleted ones."""

import re
import threading
from collections.abc import Callable, Iterable, Mapping
from contextlib import suppress
from dataclasses import dataclass
from datetime import UTC, date, datetime, timedelta
from functools import lru_cache
from itertools import islice
from math import inf
from sqlite3 import Connection
from time import monotonic, thread_time
from typing import Protocol

from product_classifier.feedback.index_database import IndexDatabase
from product_classifier.feedback.index_rows import EPOCH, to_text
from product_classifier.store import ObjectStore

LISTED_KEYS = 5000
"""Keys of a listing that are compared with the index at once."""
CHEAP_LISTING_S = 0.1
LISTING_SHARE = 0.05
"""Largest share of a core that listings take; after one that is not cheap the next one waits accordingly."""
SWEEP_PAUSE_S = 5.0
"""Least pause between the listings of two older days, and the one until each has been listed once."""
SWEEP_PERIOD_S = 86_400.0
"""Time in which each older day is listed once afterwards."""
MAX_REMOVED = 1000
"""Objects missing in one part of a listing that are looked up one by one before they leave the index."""
DAY = "[0-9]{4}-[0-9]{2}-[0-9]{2}"
UUID = "[0-9a-f]{8}-[0-9a-f]{4}-7[0-9a-f]{3}-[89ab][0-9a-f]{3}-[0-9a-f]{12}"


@dataclass(frozen=True)
class ListedTable:
    """Objects of one kind: the end of their keys, and the key of an id."""

    suffix: str
    key_of: Callable[[str], str]


@dataclass(frozen=True)
class Layout:
    """The objects of an index: `<prefix>dt=<day>/<id><suffix>`."""

    prefix: str
    tables: Mapping[str, ListedTable]
    """By the table of their ids."""
    late_s: float | None = None
    """With ids in the order of writing: seconds before the last listed id from which a listing starts.

    None if an id may sort before those of the same day that were written earlier.
    """


class IdWriter(Protocol):
    """Writes the ids that a listing finds."""

    def add_ids(self, table: str, ids: set[bytes]) -> None:
        """Add ids of objects that are to be read."""

    def delete(self, table: str, identifier: bytes) -> None:
        """Delete an id whose object is no longer in the store."""


class ObjectListing:
    """Lists the newest days, and one older day after the other for what another server wrote late.

    `ensure_listed` is thread-safe, the other methods are for one thread at a time. All raise `StoreUnavailable` if the
    store cannot be listed, and `IndexUnavailable` if the file of the index cannot be used.
    """

    def __init__(
        self,
        store: ObjectStore,
        database: IndexDatabase,
        writer: IdWriter,
        layout: Layout,
        read_foreign: Callable[[str], None],
        is_pending: Callable[[str], bool] = lambda _: False,
    ) -> None:
        """Take where objects and ids are, and two functions of a key.

        Args:
            store: Where the objects are.
            database: Where the ids are.
            writer: Writes ids to the database.
            layout: Keys of the objects.
            read_foreign: Is called with a key under the prefix that is not one of the layout.
            is_pending: Returns whether an object is acknowledged and not yet in the store.
        """
        self._store = store
        self._database = database
        self._writer = writer
        self._layout = layout
        self._read_foreign = read_foreign
        self._is_pending = is_pending
        self._tables = {table.suffix: name for name, table in layout.tables.items()}
        suffixes = "|".join(map(re.escape, self._tables))
        self._key = re.compile(f"{re.escape(layout.prefix)}dt=({DAY})/({UUID})({suffixes})")
        self._first_listing = threading.Lock()
        self._listed_on: tuple[int, str] | None = None
        self._listing_due = -inf
        self.sweep_due = -inf
        """Time (`monotonic`) at which the next older day is to be listed."""
        self._sweep_pause_s = SWEEP_PAUSE_S
        self.start_sweep()

    def ensure_listed(self, today: date) -> None:
        """List, once a day, the ids that were added before today."""
        day = today.isoformat()
        if self._listed_on == (self._database.generation, day):
            return
        with self._first_listing:
            generation = self._database.generation
            if self._listed_on == (generation, day):
                return
            listed = self._database.meta("listed_on")
            self._list_from("" if listed is None else self._days_prefix(min(listed, day), -1))
            self._database.set_meta("listed_on", day)
            self._listed_on = (generation, day)

    def list_newest(self, today: date) -> None:
        """List what is newest, unless that is too expensive now; at first every day.

        That is from the last listed id on, see `Layout.late_s`, else from yesterday on.
        """
        if self._database.meta("listed_on") is None:
            self.ensure_listed(today)
        elif monotonic() >= self._listing_due:
            began = thread_time()
            self._list_from(self._after_last(today) or self._days_prefix(today.isoformat(), -1))
            self._listing_due = monotonic() + _pause_after(thread_time() - began)

    def start_sweep(self) -> None:
        """Continue with the oldest day."""
        self._sweep_after, self._swept_ids, self._swept_days = "", b"", 0

    def sweep_next_day(self) -> bool:
        """List the next of the days that have objects; return False after the last."""
        began = thread_time()
        found = (self._next_stored(), self._next_indexed())
        key = min((one for one in found if one is not None), default=None)
        if key is None:
            self._sweep_pause_s = max(SWEEP_PAUSE_S, SWEEP_PERIOD_S / max(self._swept_days, 1))
            self.sweep_due = monotonic() + self._sweep_pause_s
            self.start_sweep()
            return False
        folder, slash, _ = key.removeprefix(self._layout.prefix).partition("/")
        if slash:
            self._sweep_day(folder)
            self._sweep_after = f"{self._layout.prefix}{folder}0"  # "0" follows "/"
        else:
            self._add_keys([key])
            self._sweep_after = key
        self._swept_days += 1
        self.sweep_due = monotonic() + max(self._sweep_pause_s, _pause_after(thread_time() - began))
        return True

    def _after_last(self, today: date) -> str:
        """Return the text after which the keys are that may be new; "" if the order of ids does not say it."""
        if self._layout.late_s is None:
            return ""
        bounds = _bounds_of_day((today + timedelta(days=1)).isoformat())  # not after an id of a wrong clock
        end = b"\xff" if bounds is None else bounds[1]
        queries = (f"SELECT max(id) FROM {table} WHERE id < ?" for table in self._layout.tables)  # noqa: S608
        last = [self._database.value(query, end) for query in queries]
        newest = max((one for one in last if one is not None), default=None)
        if newest is None:
            return ""
        milliseconds = max(0, int.from_bytes(newest[:6], "big") - int(self._layout.late_s * 1000))
        return f"{self._layout.prefix}dt={_day_of(milliseconds)}/{_first_id(milliseconds)}"

    def _days_prefix(self, day: str, days: int) -> str:
        """Return the text that all keys from some days after `day` on sort after."""
        with suppress(OverflowError):
            return f"{self._layout.prefix}dt={date.fromisoformat(day) + timedelta(days=days)}"
        return ""

    def _list_from(self, start_after: str) -> None:
        keys = self._store.list(self._layout.prefix, start_after=start_after)
        while chunk := list(islice(keys, LISTED_KEYS)):
            self._add_keys(chunk)

    def _add_keys(self, keys: Iterable[str]) -> dict[str, set[bytes]]:
        """Add ids that are not indexed; return those of the keys."""
        ids: dict[str, set[bytes]] = {table: set() for table in self._layout.tables}
        foreign = []
        for key in keys:
            if found := self._key.fullmatch(key):
                day, text, suffix = found.groups()
                bounds = _bounds_of_day(day)
                identifier = bytes.fromhex(text.replace("-", ""))
                if bounds and bounds[0] <= identifier < bounds[1]:
                    ids[self._tables[suffix]].add(identifier)
                    continue
            foreign.append(key)
        with self._database.read() as database:
            added = {table: some - _known(database, table, some) for table, some in ids.items() if some}
            query = "SELECT 1 FROM damaged WHERE key = ?"
            foreign = [key for key in foreign if not database.execute(query, (key,)).fetchone()]
        for table, new in added.items():
            if new:
                self._writer.add_ids(table, new)
        for key in foreign:
            self._read_foreign(key)
        return ids

    def _next_stored(self) -> str | None:
        return next(iter(self._store.list(self._layout.prefix, start_after=self._sweep_after)), None)

    def _next_indexed(self) -> str | None:
        """Return the key of an indexed object of a day that is not swept: all of a day may have been deleted."""
        found = {
            table: self._database.value(f"SELECT min(id) FROM {table} WHERE id > ?", self._swept_ids)  # noqa: S608
            for table in self._layout.tables
        }
        keys = (self._layout.tables[name].key_of(to_text(one)) for name, one in found.items() if one is not None)
        return min(keys, default=None)

    def _sweep_day(self, folder: str) -> None:
        """Add the ids of a day that are not indexed; remove those that are no longer in the store."""
        bounds = _bounds_of_day(folder.removeprefix("dt="))
        begin = b"" if bounds is None else bounds[0]
        keys = iter(self._store.list(f"{self._layout.prefix}{folder}/"))
        while chunk := list(islice(keys, LISTED_KEYS)):
            ids = self._add_keys(chunk)
            end = max((one for some in ids.values() for one in some), default=None)
            if bounds is not None and end is not None:
                self._remove_missing(begin, end, ids)
                begin = end
        if bounds is not None:
            self._remove_missing(begin, bounds[1], {})
            self._swept_ids = bounds[1]

    def _remove_missing(self, begin: bytes, end: bytes, listed: dict[str, set[bytes]]) -> None:
        """Remove the ids after `begin`, up to `end`, that were not listed and are not in the store."""
        for table, kind in self._layout.tables.items():
            with self._database.read() as database:
                rows = database.execute(f"SELECT id FROM {table} WHERE id > ? AND id <= ?", (begin, end))  # noqa: S608
                present = listed.get(table, set())
                missing = [row[0] for row in rows if row[0] not in present]
            for identifier in missing[:MAX_REMOVED]:
                key = kind.key_of(to_text(identifier))
                if not self._is_pending(key) and not self._store.exists(key):
                    self._writer.delete(table, identifier)


def _known(database: Connection, table: str, ids: set[bytes]) -> set[bytes]:
    """Return the ids that are in a table, in one range scan."""
    rows = database.execute(f"SELECT id FROM {table} WHERE id BETWEEN ? AND ?", (min(ids), max(ids)))  # noqa: S608
    return {row[0] for row in rows}


def _pause_after(listing_s: float) -> float:
    """Return the pause after a listing, so that listings take at most `LISTING_SHARE` of the time."""
    return listing_s / LISTING_SHARE if listing_s > CHEAP_LISTING_S else 0.0


def _day_of(milliseconds: int) -> str:
    """Return the day (UTC) of a time since the epoch, YYYY-MM-DD."""
    return (EPOCH + timedelta(milliseconds=milliseconds)).date().isoformat()


def _first_id(milliseconds: int) -> str:
    """Return the start that sorts before all ids of a millisecond: eight and four hexadecimal digits."""
    digits = f"{milliseconds:012x}"
    return f"{digits[:8]}-{digits[8:]}-"


@lru_cache(1024)
def _bounds_of_day(day: str) -> tuple[bytes, bytes] | None:
    """Return the ids between which those of a day are; None if it is not a day."""
    with suppress(ValueError, OverflowError):
        first = datetime.combine(date.fromisoformat(day), datetime.min.time(), UTC)
        if f"{first:%Y-%m-%d}" == day:  # else another form of ISO 8601, whose ids are in another folder
            begin = (first - EPOCH) // timedelta(milliseconds=1)
            return begin.to_bytes(6, "big"), (begin + 86_400_000).to_bytes(6, "big")
    return None
