"""What a drift verdict leads to, by policy."""

from datetime import timedelta
from pathlib import Path

import pytest

from components.act_on_drift import step as act_on_drift
from components.act_on_drift.webhook import send
from product_classifier.errors import InvalidSettings
from product_classifier.feedback.queue_records import ENTRIES_PREFIX, QueueEntry
from product_classifier.retraining.drift_request import read_drift_request
from product_classifier.store import open_store
from tests.support.monitored_store import NOW, drifted, record, webhook


@pytest.fixture
def store(tmp_path: Path) -> str:
    url = (tmp_path / "store").as_uri()
    open_store(url, create=True)
    return url


@pytest.mark.parametrize(
    ("policy", "queued", "requested", "notified"),
    [("off", False, False, 0), ("notify", False, False, 1), ("label", True, False, 1), ("retrain", True, True, 1)],
)
def test_each_policy_does_what_the_one_before_does_and_more(
    store: str, policy: str, queued: bool, requested: bool, notified: int
) -> None:
    window = drifted(store, record(5, 0.9), record(6, 0.2), record(7, 0.8))
    with webhook() as (url, bodies):
        for _ in range(2):  # a repeated run notifies nobody again
            act_on_drift.run(store, window.window_id, policy, url, queue_limit=2, private_webhook=True)  # type: ignore[arg-type]
    opened = open_store(store)

    assert queued == any(opened.list(ENTRIES_PREFIX))
    assert requested == (read_drift_request(opened, None) is not None)
    assert notified == len(bodies)
    assert all("vocabulary" in str(body["text"]) for body in bodies)


def test_the_examples_of_the_drift_and_the_least_confident_products_are_queued(store: str) -> None:
    records = [record(5, 0.9), record(6, 0.2), record(7, 0.8)]
    window = drifted(store, *records)
    old = record(60 * 24 * 60)
    opened = open_store(store)
    opened.put(f"{ENTRIES_PREFIX}drifted/{old.prediction_id}.json", b"{}")
    first = act_on_drift.run(store, window.window_id, "label", queue_limit=2)
    again = act_on_drift.run(store, window.window_id, "label", queue_limit=2)
    entries = [QueueEntry.from_json(opened.get(key), key) for key in opened.list(ENTRIES_PREFIX)]
    ordered = sorted(entries, key=lambda one: -(one.score or 0))

    assert [records[0].prediction_id, records[1].prediction_id] == [one.prediction_id for one in ordered]
    assert ["drift of vocabulary", "drift, confidence 0.20"] == [one.detail for one in ordered]
    assert ("2 products are queued to be labelled, 2 of them new",) == first
    assert ("2 products are queued to be labelled, 0 of them new",) == again


def test_a_request_ends_with_a_quiet_window_and_with_a_successful_run(store: str) -> None:
    window = drifted(store, record(5))
    act_on_drift.run(store, window.window_id, "retrain", min_corrections=3)
    opened = open_store(store)

    assert read_drift_request(opened, NOW - timedelta(hours=1)) is not None
    assert read_drift_request(opened, NOW + timedelta(hours=1)) is None
    drifted(store, verdict="quiet")
    act_on_drift.run(store, window.window_id, "retrain")
    assert read_drift_request(opened, None) is None


def test_a_failed_notification_is_sent_again_by_the_next_run(store: str) -> None:
    window = drifted(store, record(5))
    with webhook(500) as (url, bodies):
        first = act_on_drift.run(store, window.window_id, "notify", url, private_webhook=True)
        act_on_drift.run(store, window.window_id, "notify", url, private_webhook=True)

    assert ("not notified: the server responded with status 500",) == first
    assert 2 == len(bodies)


def test_a_policy_that_does_not_exist_is_refused(store: str) -> None:
    with pytest.raises(InvalidSettings, match="'panic' is no policy"):
        act_on_drift.run(store, "d-20260302T120000-0123abcd", "panic")  # type: ignore[arg-type]


@pytest.mark.parametrize(
    "url",
    [
        "http://127.0.0.1:1/",
        "http://localhost:1/",
        "http://[::1]/",
        "http://169.254.169.254/latest",
        "http://10.0.0.1/",
        "http://[::ffff:127.0.0.1]/",
        "ftp://example.com/",
        "http://user:password@example.com/",
        "file:///etc/passwd",
        "",
    ],
)
def test_a_webhook_at_an_address_that_is_not_public_is_refused(url: str) -> None:
    assert send(url, {})


def test_a_redirect_of_a_webhook_is_not_followed() -> None:
    with webhook(307) as (url, bodies):
        assert "the server responded with status 307" == send(url, {"text": "a"}, private_addresses=True)
    assert 1 == len(bodies)
