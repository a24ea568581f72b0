"""The parts of the prediction log in the object store, and the index of their ids.

A part is written once, under the next number of its day: of two processes that compact a day, one finds the number
taken and reads what the other wrote. A part holds no record that an earlier one holds, so the parts of a day have each
record once, whenever a process is killed. `logs/_index/dt=<day>.json` repeats which ids a part spans, so that a lookup
reads one part; it is derived, and its entries are computed again where they are missing. Names that start with an
underscore are ignored by Spark, Athena and Hive.
"""

import json
from collections.abc import Iterator
from typing import Any, Final

import pyarrow as pa
import pyarrow.compute as pc
from pydantic import Field

from product_classifier.errors import ObjectNotFound
from product_classifier.feedback.prediction_log.log_schema import Kind, Row, read_table
from product_classifier.feedback.records import Record, day_of
from product_classifier.store import ObjectStore
from product_classifier.store.object_keys import LOGS_PREFIX

INDEX: Final = f"{LOGS_PREFIX}_index/"
RecordId = tuple[str, str]
"""Kind and id of a record."""


class PartEntry(Record):
    """What the index states of a part."""

    records: int
    first: str
    """Least id; empty for a part without records."""
    last: str


class DayIndex(Record):
    """The index of a day."""

    version: int = 1
    listing: str = ""
    """SHA-256 of the keys that were listed when the day was last compacted completely."""
    parts: dict[str, PartEntry] = Field(default_factory=dict)


def part_key(day: str, number: int) -> str:
    """Return the key of a part; `day` is YYYY-MM-DD, numbers start at 1."""
    return f"{LOGS_PREFIX}dt={day}/part-{number:06}.parquet"


def index_key(day: str) -> str:
    """Return the key of the index of a day."""
    return f"{INDEX}dt={day}.json"


def list_parts(store: ObjectStore, day: str) -> list[str]:
    """Return the keys of the parts of a day in the order of their numbers."""
    return [key for key in store.list(f"{LOGS_PREFIX}dt={day}/part-") if key.endswith(".parquet")]


def list_days(store: ObjectStore, since: str = "") -> Iterator[str]:
    """Yield the days that have parts, from a day on, in order."""
    after = f"{LOGS_PREFIX}dt={since}"
    while key := next(iter(store.list(f"{LOGS_PREFIX}dt=", start_after=after)), None):
        day = key.removeprefix(f"{LOGS_PREFIX}dt=").partition("/")[0]
        yield day
        after = f"{LOGS_PREFIX}dt={day}0"  # "0" follows "/"


def read_index(store: ObjectStore, day: str) -> DayIndex:
    """Return the index of a day; an empty one if it is missing or damaged."""
    try:
        return DayIndex.model_validate(json.loads(store.get(index_key(day))))
    except (ObjectNotFound, ValueError):
        return DayIndex()


def describe_part(table: pa.Table) -> PartEntry:
    """Return the entry of a part whose column `id` is given."""
    if not len(table):
        return PartEntry(records=0, first="", last="")
    ends = pc.min_max(table["id"])
    return PartEntry(records=len(table), first=ends["min"].as_py(), last=ends["max"].as_py())


def ids_of(table: pa.Table) -> Iterator[RecordId]:
    """Yield kind and id of the rows of a part."""
    return zip(table["kind"].to_pylist(), table["id"].to_pylist(), strict=True)


def find_row(store: ObjectStore, kind: Kind, identifier: str) -> Row | None:
    """Return the row of a record, None if the log does not have it; reads the parts that span its id.

    Raises:
        InvalidInput: If the id is malformed, or a part cannot be read.
        StoreUnavailable: If the store cannot be reached.
    """
    day = day_of(identifier)
    parts = list_parts(store, day)
    entries = read_index(store, day).parts if parts else {}
    for key in parts:
        entry = entries.get(key)
        if entry is None or entry.first <= identifier <= entry.last:
            filters = [("kind", "==", kind), ("id", "==", identifier)]
            found: list[dict[str, Any]] = read_table(store.get(key), filters=filters).to_pylist()
            if found:
                return found[0]
    return None
