"""Reports of monitored windows: stored, listed, and read by gauges."""

import json
from datetime import UTC, datetime, timedelta
from pathlib import Path

import pytest

from product_classifier.monitoring.drift_windows import (
    LATEST,
    PREFIX,
    DriftMeasure,
    DriftWindow,
    drift_gauges,
    list_windows,
    read_latest_window,
    write_window,
)
from product_classifier.store import ObjectStore
from product_classifier.store.file import FileStore

START = datetime(2026, 3, 1, tzinfo=UTC)


@pytest.fixture
def store(tmp_path: Path) -> ObjectStore:
    return FileStore(tmp_path, create=True)


def window(hour: int) -> DriftWindow:
    created = START + timedelta(hours=hour)
    drifted = DriftMeasure(name="text_length", statistic="ks", value=0.4, threshold=0.1, drifted=True, products=60)
    empty = DriftMeasure(name="brightness", statistic="ks", value=None, threshold=0.1)
    return DriftWindow(
        window_id=f"d-{created:%Y%m%dT%H%M%S}-0123abcd",
        created=created,
        since=START,
        until=created,
        release="r-20260101T000000-0123abcd",
        products=60,
        sampled=60,
        verdict="drift",
        inputs=(drifted, empty),
    )


def test_windows_are_listed_newest_first_and_in_pages(store: ObjectStore) -> None:
    for hour in range(5):
        write_window(store, window(hour))

    first = list_windows(store, 2)
    rest = list_windows(store, 9, before=first[-1].window_id)

    assert [window(4), window(3)] == first
    assert [window(2), window(1), window(0)] == rest
    assert window(4) == read_latest_window(store)


def test_a_damaged_report_is_left_out_and_a_page_is_no_report(store: ObjectStore) -> None:
    write_window(store, window(0))
    store.put(f"{PREFIX}{window(1).window_id}.json", b"{")
    store.put(f"{PREFIX}{window(2).window_id}.html", b"<p>")
    store.put(LATEST, b"[]")

    assert [window(0)] == list_windows(store, 9)
    assert read_latest_window(store) is None


def test_a_report_of_a_later_version_of_the_product_is_read(store: ObjectStore) -> None:
    values = json.loads(window(0).to_json())
    values["inputs"][0]["p_value"] = 0.01
    store.put(window(0).key, json.dumps(values | {"new": 1}).encode())

    assert [window(0)] == list_windows(store, 1)


def test_there_is_no_window_before_the_first_run(store: ObjectStore) -> None:
    assert [] == list_windows(store, 9)
    assert read_latest_window(store) is None


def test_gauges_leave_out_measures_without_a_value() -> None:
    found = drift_gauges(window(0))

    assert {"text_length": 0.4} == found["score"]
    assert {"text_length": 0.1, "brightness": 0.1} == found["threshold"]
    assert {"text_length": 1.0, "brightness": 0.0} == found["drifted"]
    assert {"products": 60, "sampled": 60, "created": START.timestamp(), "drifted": 1} == found["window"]
