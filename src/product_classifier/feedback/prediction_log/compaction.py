"""Compacts the records of the object store into the prediction log.

    result = Compactor(store).run(since=date(2026, 3, 1))

For each day, records that no part holds become the next parts. A run that is repeated, killed between any two steps or
run twice at once leaves each record once, see `log_parts`. Small objects of predictions are deleted only after a part
holds them.
"""

import hashlib
from collections.abc import Iterable, Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, field
from datetime import date
from itertools import groupby, islice
from typing import Final, NamedTuple

from product_classifier.errors import InvalidInput, ObjectExists, ObjectNotFound, StoreUnavailable
from product_classifier.feedback.prediction_log.log_parts import (
    DayIndex,
    PartEntry,
    RecordId,
    describe_part,
    ids_of,
    index_key,
    list_parts,
    part_key,
    read_index,
)
from product_classifier.feedback.prediction_log.log_schema import (
    Kind,
    LoggedRecord,
    Row,
    read_table,
    to_parquet,
    to_row,
)
from product_classifier.feedback.records import (
    PREDICTIONS_PREFIX,
    REVIEW_SUFFIX,
    REVISION_SUFFIX,
    Correction,
    PredictionRecord,
    Review,
    Revision,
    day_of,
)
from product_classifier.observability import get_logger
from product_classifier.store import ObjectStore
from product_classifier.store.object_keys import FEEDBACK_PREFIX

log = get_logger()
PART_RECORDS: Final = 8192
PART_BYTES: Final = 32 << 20
"""Limits of a part: a lookup reads one, and compaction holds one in memory."""
READERS: Final = 8
CHUNK: Final = 64
"""Objects that one task of a reader reads."""


_KINDS: Final[dict[str, Kind]] = {".json": "correction", REVIEW_SUFFIX: "review", REVISION_SUFFIX: "revision"}
"""Kind of a record under `feedback/` by the end of its key."""


class ListedRecord(NamedTuple):
    """A small object: its key, kind and id."""

    key: str
    kind: Kind
    identifier: str


@dataclass(slots=True)
class CompactionResult:
    """What a compaction did, in records."""

    days: int = 0
    """Days whose records were compared with the log; days without a change are skipped."""
    predictions: int = 0
    corrections: int = 0
    reviews: int = 0
    revisions: int = 0
    parts: int = 0
    deleted: int = 0
    """Small objects of predictions that were deleted."""
    damaged: dict[str, str] = field(default_factory=dict)
    """Reason by key of the objects that cannot be parsed."""


class Compactor:
    """Writes the prediction log of a store; any number of processes may do so at once."""

    def __init__(
        self,
        store: ObjectStore,
        *,
        delete_before: date | None = None,
        part_records: int = PART_RECORDS,
        part_bytes: int = PART_BYTES,
    ) -> None:
        """Take the store.

        Args:
            store: Where the records and the log are.
            delete_before: Small objects of predictions of days (UTC) before this one are deleted; None for none.
            part_records: Most records of a part.
            part_bytes: Bytes of small objects from which a part is complete.
        """
        self._store = store
        self._delete_before = delete_before
        self._part_records = part_records
        self._part_bytes = part_bytes

    def run(self, since: date | None = None) -> CompactionResult:
        """Compact the records from a day on; None for all.

        Raises:
            StoreUnavailable: If the store cannot be reached; what was written stays, and the next run continues.
            InvalidInput: If a part of the log cannot be read.
        """
        result = CompactionResult()
        with ThreadPoolExecutor(READERS, "compact") as pool:
            for day, listed in _by_day(self._store, since):
                self._compact_day(day, listed, result, pool)
        return result

    def _compact_day(
        self, day: str, listed: Sequence[ListedRecord], result: CompactionResult, pool: ThreadPoolExecutor
    ) -> None:
        index = read_index(self._store, day)
        digest = _digest(listed)
        deletes = self._delete_before is not None and day < self._delete_before.isoformat()
        if index.listing == digest and not (deletes and any(one.kind == "prediction" for one in listed)):
            return
        result.days += 1
        entries: dict[str, PartEntry] = {}
        logged = self._read_new_parts(day, entries)
        damaged = len(result.damaged)
        waiting = [one for one in listed if (one.kind, one.identifier) not in logged]
        for rows in self._rows(waiting, result, pool):
            self._write_rows(day, rows, entries, logged, result)
        if deletes:
            listed = self._delete_logged(listed, logged, result)
            digest = _digest(listed)
        complete = len(result.damaged) == damaged
        written = DayIndex(listing=digest if complete else "", parts=entries)
        self._store.put(index_key(day), written.to_json())

    def _read_new_parts(self, day: str, entries: dict[str, PartEntry]) -> set[RecordId]:
        """Return the ids of the parts that have no entry, and add entries for them."""
        found: set[RecordId] = set()
        for key in list_parts(self._store, day):
            if key not in entries:
                table = read_table(self._store.get(key), ["kind", "id"])
                found.update(ids_of(table))
                entries[key] = describe_part(table)
        return found

    def _rows(
        self, listed: Iterable[ListedRecord], result: CompactionResult, pool: ThreadPoolExecutor
    ) -> Iterator[list[Row]]:
        """Yield the rows of parts; damaged objects are added to the result."""
        remaining = iter(listed)
        rows: list[Row] = []
        size = 0
        while batch := list(islice(remaining, CHUNK * READERS)):
            chunks = [batch[start : start + CHUNK] for start in range(0, len(batch), CHUNK)]
            for read in pool.map(self._read_chunk, chunks):
                for key, row, length, reason in read:
                    if reason:
                        log.warning("record_damaged", key=key, reason=reason)
                        result.damaged[key] = reason
                    elif row is not None:
                        rows.append(row)
                        size += length
                        if len(rows) >= self._part_records or size >= self._part_bytes:
                            yield rows
                            rows, size = [], 0
        if rows:
            yield rows

    def _read_chunk(self, chunk: Sequence[ListedRecord]) -> list[tuple[str, Row | None, int, str]]:
        """Return key, row, size and reason of objects; neither row nor reason for one that was deleted meanwhile."""
        found: list[tuple[str, Row | None, int, str]] = []
        for one in chunk:
            try:
                data = self._store.get(one.key)
            except ObjectNotFound:
                continue
            try:
                found.append((one.key, to_row(_parse(one, data)), len(data), ""))
            except (StoreUnavailable, InvalidInput) as error:
                found.append((one.key, None, 0, str(error)))
        return found

    def _write_rows(
        self,
        day: str,
        rows: list[Row],
        entries: dict[str, PartEntry],
        logged: set[RecordId],
        result: CompactionResult,
    ) -> None:
        """Write the next part, without the rows that another process has written meanwhile."""
        while rows := [row for row in rows if (row["kind"], row["id"]) not in logged]:
            key = part_key(day, len(entries) + 1)
            try:
                self._store.put(key, to_parquet(rows), only_if_absent=True)
            except ObjectExists:
                logged |= self._read_new_parts(day, entries)
                continue
            ids = [row["id"] for row in rows]
            entries[key] = PartEntry(records=len(rows), first=min(ids), last=max(ids))
            logged.update((row["kind"], row["id"]) for row in rows)
            result.parts += 1
            kinds = [row["kind"] for row in rows]
            result.predictions += kinds.count("prediction")
            result.corrections += kinds.count("correction")
            result.reviews += kinds.count("review")
            result.revisions += kinds.count("revision")

    def _delete_logged(
        self, listed: Sequence[ListedRecord], logged: set[RecordId], result: CompactionResult
    ) -> list[ListedRecord]:
        """Delete the small objects of logged predictions; return the others."""
        kept = []
        for one in listed:
            if one.kind == "prediction" and (one.kind, one.identifier) in logged:
                self._store.delete(one.key)
                result.deleted += 1
            else:
                kept.append(one)
        return kept


def _by_day(store: ObjectStore, since: date | None) -> Iterator[tuple[str, list[ListedRecord]]]:
    """Yield the records by day, in order; memory holds one day."""
    streams = [_listed(store, prefix, since) for prefix in (PREDICTIONS_PREFIX, FEEDBACK_PREFIX)]
    grouped = [iter(groupby(stream, key=lambda one: day_of(one.identifier))) for stream in streams]
    heads = [next(group, None) for group in grouped]
    while any(head is not None for head in heads):
        day = min(head[0] for head in heads if head is not None)
        found: list[ListedRecord] = []
        for at, head in enumerate(heads):
            if head is not None and head[0] == day:
                found += head[1]
                heads[at] = next(grouped[at], None)
        yield day, found


def _listed(store: ObjectStore, prefix: str, since: date | None) -> Iterator[ListedRecord]:
    start = f"{prefix}dt={since.isoformat()}" if since is not None else ""
    for key in store.list(prefix, start_after=start):
        name = key.rpartition("/")[2]
        identifier, _, suffix = name.partition(".")
        kind: Kind = "prediction"
        if prefix == FEEDBACK_PREFIX:
            kind = _KINDS.get(f".{suffix}", "correction")
        if f".{suffix}" in _KINDS and _belongs(key, prefix, identifier):
            yield ListedRecord(key, kind, identifier)


def _belongs(key: str, prefix: str, identifier: str) -> bool:
    """Return whether a key is in the folder of the day of its id; others are no records."""
    try:
        return key.startswith(f"{prefix}dt={day_of(identifier)}/")
    except InvalidInput:
        return False


def _parse(one: ListedRecord, data: bytes) -> LoggedRecord:
    models: dict[Kind, type[LoggedRecord]] = {
        "prediction": PredictionRecord,
        "correction": Correction,
        "review": Review,
        "revision": Revision,
    }
    record = models[one.kind].from_json(data, one.key)
    if record.key != one.key:
        raise InvalidInput(f"object {one.key!r}: its id belongs to key {record.key!r}")
    return record


def _digest(listed: Iterable[ListedRecord]) -> str:
    digest = hashlib.sha256()
    for one in listed:
        digest.update(f"{one.key}\n".encode())
    return digest.hexdigest()
