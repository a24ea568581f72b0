"""Compaction of records into the prediction log: exactly once, whatever is killed, late or concurrent."""

from collections import Counter
from collections.abc import Callable, Iterator
from datetime import UTC, date, datetime, timedelta
from pathlib import Path
from threading import Thread
from typing import Any

import duckdb
import pandas as pd
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from product_classifier.errors import ObjectNotFound, StoreUnavailable
from product_classifier.feedback.prediction_log.compaction import Compactor
from product_classifier.feedback.prediction_log.log_parts import find_row, index_key, list_days, list_parts, part_key
from product_classifier.feedback.prediction_log.log_schema import from_row, read_table
from product_classifier.feedback.records import (
    Correction,
    Modalities,
    PredictionRecord,
    ProductContent,
    Record,
    Review,
    new_id,
    prediction_key,
)
from product_classifier.feedback.stored_products import read_prediction
from product_classifier.feedback.unreviewed import unreviewed_predictions
from product_classifier.store import ObjectInfo
from product_classifier.store.file import FileStore

DAY = datetime(2026, 3, 1, 12, tzinfo=UTC)


def prediction(day: int = 0, code: str = "10") -> PredictionRecord:
    created = DAY + timedelta(days=day)
    return PredictionRecord(
        prediction_id=new_id(created),
        created=created,
        user="ann",
        product=ProductContent(designation="Lampe"),
        code=code,
        confidence=0.5,
        top=(),
        modalities=Modalities(),
        degraded=False,
        release="r",
    )


def correction(of: PredictionRecord) -> Correction:
    created = of.created + timedelta(minutes=1)
    return Correction(
        feedback_id=new_id(created), created=created, user="bob", role="user", prediction_id=of.prediction_id, code="40"
    )


def review(of: Correction, days: int = 0) -> Review:
    created = of.created + timedelta(days=days)
    return Review(feedback_id=of.feedback_id, created=created, reviewer="eve", decision="approved")


class MemoryStore:
    """Objects in memory; the process dies at operation `fail_at`, before or after it took effect."""

    def __init__(self) -> None:
        self.objects: dict[str, bytes] = {}
        self.operations = 0
        self.fail_at: float = float("inf")
        self.after = False
        self.on_put: Callable[[str], None] = lambda key: None

    def _step(self, act: Callable[[], Any]) -> Any:
        self.operations += 1
        if self.operations == self.fail_at and not self.after:
            raise StoreUnavailable("killed")
        found = act()
        if self.operations == self.fail_at:
            raise StoreUnavailable("killed")
        return found

    def put(self, key: str, data: bytes, *, only_if_absent: bool = False) -> None:
        from product_classifier.errors import ObjectExists

        def act() -> None:
            if only_if_absent:
                self.on_put(key)
                if key in self.objects:
                    raise ObjectExists(key)
            self.objects[key] = data

        self._step(act)

    def get(self, key: str) -> bytes:
        if key not in self.objects:
            raise ObjectNotFound(key)
        return self.objects[key]

    def head(self, key: str) -> ObjectInfo:
        return ObjectInfo("", len(self.get(key)))

    def exists(self, key: str) -> bool:
        return key in self.objects

    def list(self, prefix: str = "", *, start_after: str = "") -> Iterator[str]:
        return iter(sorted(key for key in self.objects if key.startswith(prefix) and key > start_after))

    def delete(self, key: str) -> None:
        self._step(lambda: self.objects.pop(key, None))


def store_with(*records: Any) -> MemoryStore:
    store = MemoryStore()
    for record in records:
        store.objects[record.key] = record.to_json()
    return store


def logged(store: Any) -> list[Record]:
    keys = [key for day in list_days(store) for key in list_parts(store, day)]
    return [from_row(row) for key in keys for row in read_table(store.get(key)).to_pylist()]


def sample() -> list[Any]:
    predictions = [prediction(day) for day in (0, 0, 0, 1, 3)]
    corrections = [correction(predictions[0]), correction(predictions[4])]
    return [*predictions, *corrections, review(corrections[0], days=9)]


def test_every_record_is_in_the_log_once_and_on_its_day() -> None:
    records = sample()
    store = store_with(*records)

    first = Compactor(store, part_records=2).run()
    again = Compactor(store, part_records=2).run()

    assert Counter(map(Record.to_json, records)) == Counter(map(Record.to_json, logged(store)))
    assert ["2026-03-01", "2026-03-02", "2026-03-04"] == list(list_days(store))
    assert (3, 5, 2, 1) == (first.days, first.predictions, first.corrections, first.reviews)
    assert (0, 0, 0) == (again.days, again.parts, again.predictions)


@pytest.mark.parametrize("deletes", [False, True])
@pytest.mark.parametrize("after", [False, True])
def test_a_compaction_killed_between_any_two_steps_leaves_each_record_once(deletes: bool, after: bool) -> None:
    """The family of kills: at each write and deletion, before or after it took effect."""
    records = sample()
    limit = date(2026, 3, 3) if deletes else None
    whole = store_with(*records)
    Compactor(whole, part_records=2, delete_before=limit).run()
    assert whole.operations > 6

    for step in range(1, whole.operations + 1):
        store = store_with(*records)
        store.fail_at, store.after = step, after
        with pytest.raises(StoreUnavailable):
            Compactor(store, part_records=2, delete_before=limit).run()
        assert max(Counter(map(Record.to_json, logged(store))).values(), default=1) == 1

        Compactor(store, part_records=2, delete_before=limit).run()

        assert Counter(map(Record.to_json, records)) == Counter(map(Record.to_json, logged(store)))
        assert _without_index(whole) == _without_index(store)


def _without_index(store: MemoryStore) -> set[str]:
    """A process killed after it deleted the last object of a day leaves the day without an index."""
    return {key for key in store.objects if not key.startswith("logs/_index/")}


@given(st.lists(st.lists(st.integers(0, 11), max_size=6), min_size=1, max_size=5), st.integers(1, 5), st.booleans())
@settings(max_examples=40, deadline=None)
def test_records_that_arrive_late_in_any_order_are_logged_once(
    arrivals: list[list[int]], part_records: int, deletes: bool
) -> None:
    records = [prediction(at % 3, str(at)) for at in range(12)]
    store = store_with()
    arrived = set()
    for batch in arrivals:
        for at in set(batch) - arrived:
            store.objects[records[at].key] = records[at].to_json()
            arrived.add(at)
        Compactor(store, part_records=part_records, delete_before=date.max if deletes else None).run()

    assert sorted(str(at) for at in arrived) == sorted(record.code for record in logged(store))  # type: ignore[attr-defined]
    assert deletes != any(key.startswith("predictions/") for key in store.objects) or not arrived


def test_two_compactions_at_once_log_each_record_once() -> None:
    """A second process writes the part that the first one is about to write."""
    records = [prediction() for _ in range(7)]
    store = store_with(*records)
    rival = MemoryStore()
    rival.objects = store.objects

    def overtake(key: str) -> None:
        store.on_put = lambda key: None
        Compactor(rival, part_records=3).run()

    store.on_put = overtake
    Compactor(store, part_records=2).run()

    assert Counter(map(Record.to_json, records)) == Counter(map(Record.to_json, logged(store)))


def test_concurrent_compactions_of_one_folder_log_each_record_once(tmp_path: Path) -> None:
    records = [prediction(at % 2) for at in range(60)]
    store = FileStore(tmp_path, create=True)
    for record in records:
        store.put(record.key, record.to_json())

    threads = [Thread(target=Compactor(FileStore(tmp_path), part_records=4).run) for _ in range(4)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()

    assert Counter(map(Record.to_json, records)) == Counter(map(Record.to_json, logged(store)))


def test_a_prediction_is_found_after_its_small_object_was_deleted() -> None:
    records = [prediction(day) for day in (0, 0, 0, 0, 5)]
    store = store_with(*records, correction(records[0]))
    result = Compactor(store, part_records=2, delete_before=date(2026, 3, 2)).run()

    assert 4 == result.deleted
    assert not store.exists(prediction_key(records[1].prediction_id))
    assert records == [read_prediction(store, one.prediction_id) for one in records]
    with pytest.raises(ObjectNotFound):
        read_prediction(store, new_id(DAY))
    found = unreviewed_predictions(store, date(2026, 3, 1))
    assert {one.prediction_id for one in records[1:]} - {one.prediction_id for one in found} == set()


@pytest.mark.parametrize("content", [b"", b'{"parts": {}}', b"[1]", None])
def test_a_lookup_does_not_depend_on_the_index(content: bytes | None) -> None:
    record = prediction()
    store = store_with(record)
    Compactor(store).run()
    if content is None:
        del store.objects[index_key("2026-03-01")]
    else:
        store.objects[index_key("2026-03-01")] = content

    row = find_row(store, "prediction", record.prediction_id)

    assert row is not None
    assert record == from_row(row)


def test_a_damaged_object_is_reported_and_logged_once_it_is_repaired() -> None:
    record, other = prediction(), prediction()
    store = store_with(other)
    store.objects[record.key] = b"{"

    found = Compactor(store).run()
    store.objects[record.key] = record.to_json()
    Compactor(store).run()

    assert [record.key] == list(found.damaged)
    assert Counter([record.to_json(), other.to_json()]) == Counter(map(Record.to_json, logged(store)))


def test_objects_of_other_names_are_left_alone() -> None:
    store = store_with(prediction())
    store.objects |= {"predictions/dt=2026-03-01/note.txt": b"", "feedback/readme.json": b"", "predictions/x.json": b""}

    assert 1 == Compactor(store).run().predictions


def test_only_days_from_the_given_one_on_are_listed() -> None:
    store = store_with(prediction(0), prediction(2))

    assert 1 == Compactor(store).run(date(2026, 3, 2)).predictions
    assert ["2026-03-03"] == list(list_days(store))


def test_the_log_is_one_table_for_duckdb_and_for_pandas(tmp_path: Path) -> None:
    records = sample()
    store = FileStore(tmp_path, create=True)
    for record in records:
        store.put(record.key, record.to_json())
    Compactor(store, part_records=2).run()

    by_duckdb = duckdb.sql(
        f"SELECT dt, kind, count(*) FROM read_parquet('{tmp_path}/logs/*/*.parquet', hive_partitioning=true) "
        "GROUP BY ALL ORDER BY ALL"
    ).fetchall()
    joined = duckdb.sql(
        f"WITH log AS (FROM read_parquet('{tmp_path}/logs/*/*.parquet')) SELECT p.code, c.code FROM log p "
        "JOIN log c ON c.prediction_id = p.id WHERE p.kind = 'prediction' AND c.kind = 'correction'"
    ).fetchall()
    frame = pd.read_parquet(tmp_path / "logs")

    assert [1, 3, 1, 1, 1, 1] == [count for *_, count in by_duckdb]
    assert [("10", "40"), ("10", "40")] == joined
    assert {"prediction": 5, "correction": 2, "review": 1} == frame["kind"].value_counts().to_dict()
    assert part_key("2026-03-01", 1) in list(store.list("logs/"))
