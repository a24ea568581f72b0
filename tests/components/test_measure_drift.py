"""Reports of windows of stored predictions."""

from datetime import timedelta
from pathlib import Path

import pytest

from components.compact_log import step as compact_log
from components.measure_drift import step as measure_drift
from product_classifier.monitoring.drift_windows import (
    read_latest_window,
)
from product_classifier.store import open_store
from tests.support.monitored_store import NOW, RELEASE, record, write


@pytest.fixture
def store(tmp_path: Path) -> str:
    url = (tmp_path / "store").as_uri()
    open_store(url, create=True)
    return url


def test_a_window_without_predictions_is_reported(store: str) -> None:
    window = measure_drift.run(store, NOW - timedelta(days=1), NOW)

    assert ("too_few", 0) == (window.verdict, window.products)
    assert window == read_latest_window(open_store(store))
    assert b"Too few predictions" in open_store(store).get(window.page)


def test_a_release_without_a_reference_is_watched_without_a_comparison(store: str) -> None:
    write(store, record(5), record(10), record(60 * 30), record(7, release="r-other"))
    compact_log.run(store, today=NOW.date())

    window = measure_drift.run(store, NOW - timedelta(days=1), NOW, RELEASE)

    assert ("no_reference", 2, {"r-other": 1}) == (window.verdict, window.products, window.other_releases)
    assert "has no reference profile" in window.reasons[0]
    quality = {one.name: one.value for one in window.quality}
    assert 0.9 == pytest.approx(quality["expected_accuracy"])
    assert 1 == quality["acceptance_rate"]


def test_without_a_release_that_of_the_newest_prediction_is_measured(store: str) -> None:
    write(store, record(1, release="r-new"), record(5), record(10))
    compact_log.run(store, today=NOW.date())

    assert "r-new" == measure_drift.run(store, NOW - timedelta(days=1), NOW).release
