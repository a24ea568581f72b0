"""The compaction that every monitoring run begins with."""

from datetime import timedelta
from pathlib import Path

from components.compact_log import step
from product_classifier.store import open_store
from tests.support.monitored_store import NOW, record, write


def test_old_days_are_listed_once_a_day_and_the_newest_ones_each_time(tmp_path: Path) -> None:
    store = (tmp_path / "store").as_uri()
    open_store(store, create=True)
    old = 60 * 24 * 10
    write(store, record(5))
    step.run(store, today=NOW.date())
    write(store, record(6), record(old))

    same_day = step.run(store, today=NOW.date())
    next_day = step.run(store, today=NOW.date() + timedelta(days=1))

    assert (1, 1) == (same_day.predictions, next_day.predictions)


def test_small_objects_are_deleted_from_the_given_age_on(tmp_path: Path) -> None:
    store = (tmp_path / "store").as_uri()
    opened = open_store(store, create=True)
    new, old = record(5), record(60 * 24 * 2)
    write(store, new, old)

    assert 0 == step.run(store, today=NOW.date()).deleted
    assert 1 == step.run(store, 1, NOW.date()).deleted
    assert [new.key] == list(opened.list("predictions/"))
