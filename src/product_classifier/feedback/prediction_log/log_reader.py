"""Reads the prediction log one part at a time."""

from collections.abc import Iterator, Sequence
from datetime import UTC, date, datetime

import pyarrow as pa

from product_classifier.feedback.prediction_log.log_parts import list_days, list_parts
from product_classifier.feedback.prediction_log.log_schema import Kind, LoggedRecord, from_row, read_table
from product_classifier.store import ObjectStore


def read_records(store: ObjectStore, since: date, kind: Kind) -> Iterator[LoggedRecord]:
    """Yield the records of a kind from a day (UTC) on."""
    for table in read_tables(store, since, kind):
        yield from map(from_row, table.to_pylist())


def read_tables(
    store: ObjectStore,
    since: date | datetime,
    kind: Kind,
    until: datetime | None = None,
    columns: Sequence[str] | None = None,
) -> Iterator[pa.Table]:
    """Yield the rows of a kind, one table per part.

    Args:
        store: The object store.
        since: Day (UTC), or time, from which rows are read.
        kind: What the rows are.
        until: Time before which rows were created; None for no limit.
        columns: Columns to read; None for all.

    Raises:
        InvalidInput: If a part cannot be read.
        StoreUnavailable: If the store cannot be reached.
    """
    start = since if isinstance(since, datetime) else datetime.combine(since, datetime.min.time(), UTC)
    filters = [("kind", "==", kind), ("created", ">=", start)]
    if until is not None:
        filters.append(("created", "<", until))
    for day in list_days(store, start.date().isoformat()):
        if until is not None and day > until.date().isoformat():
            return
        for key in list_parts(store, day):
            table = read_table(store.get(key), columns, filters)
            if len(table):
                yield table
