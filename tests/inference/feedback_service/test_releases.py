"""Releases, their quality and monitored windows over HTTP, and requests to deploy one."""

import json
from collections.abc import Iterator
from datetime import UTC, datetime
from typing import Any

import pytest

from product_classifier.monitoring.drift_windows import DriftWindow, write_window
from product_classifier.release_history.release_actions import ActionResult, pending_actions, write_result
from product_classifier.release_history.release_records import write_champion, write_reports
from tests.support.fakes import FakeStore
from tests.support.feedback_service_harness import RIGHT, WRONG, FeedbackHarness, product_correction, store_prediction

FIRST, SECOND, THIRD = (f"r-2026010{day}T000000-0000000{day}" for day in (1, 2, 3))
SCORES = {"weighted_f1": 0.8, "macro_f1": 0.7, "accuracy": 0.8, "ece": 0.02, "items": 10, "coverage_at_99": 0.5}
CATEGORY = {"precision": 0.9, "recall": 0.8, "f1": 0.85, "items": 6}
EVALUATION = {
    "codes": [RIGHT, WRONG],
    "confusion": [[5, 2], [1, 2]],
    "calibration": [{"low": 0.9, "high": 1.0, "items": 10, "confidence": 0.95, "accuracy": 0.9}],
    "coverage": [{"precision": 0.99, "coverage": 0.5}],
}
SUSPECT = {
    "product_id": 7,
    "designation": "Chemise",
    "description": None,
    "image_path": "",
    "image_sha256": "",
    "probability": 0.1,
    "suggested_code": WRONG,
    "suggested_probability": 0.9,
    "copies": [8],
}


def publish(store: FakeStore, release: str, champion: str | None = None, *, promoted: bool = True) -> None:
    """Put a release and the verdict about it into a store."""
    scores = SCORES | {"weighted_f1": 0.7 + int(release[-1]) / 100}
    metrics = {"fusion": scores, "text": SCORES, "image": SCORES, "test_set": "t", "codes": [RIGHT, WRONG]}
    manifest = {
        "id": release,
        "created": f"2026-01-0{release[-1]}T00:00:00+00:00",
        "data_revision": "d",
        "metrics": metrics | {"by_category": {str(RIGHT): CATEGORY, str(WRONG): CATEGORY | {"f1": 0.1}}},
        "products": {str(RIGHT): 5, str(WRONG): 9},
        "files": {},
    }
    store.put(f"models/{release}/release.json", json.dumps(manifest).encode())
    verdict = {"release": release, "champion": champion, "promoted": promoted, "reasons": ["better"], "metrics": {}}
    verdict |= {"decided": manifest["created"]}
    store.put(f"reports/promotions/{release}.json", json.dumps(verdict).encode())


@pytest.fixture
def store() -> FakeStore:
    found = FakeStore()
    publish(found, FIRST)
    publish(found, SECOND, FIRST)
    publish(found, THIRD, SECOND, promoted=False)
    return found


@pytest.fixture
def harness(store: FakeStore) -> Iterator[FeedbackHarness]:
    with FeedbackHarness(store, None) as running:
        yield running


def get(harness: FeedbackHarness, path: str, **query: object) -> Any:
    return harness.client.get(path, headers=harness.headers("rita", "reviewer"), params=query)


def post(harness: FeedbackHarness, path: str, body: object = None, role: str = "admin") -> Any:
    headers = harness.headers("adam", role)
    return (
        harness.client.post(path, headers=headers)
        if body is None
        else harness.client.post(path, headers=headers, json=body)
    )


def test_releases_are_listed_newest_first_with_their_states(harness: FeedbackHarness) -> None:
    page = get(harness, "/releases", limit=2).json()
    rest = get(harness, "/releases", limit=2, cursor=page["next_cursor"]).json()

    listed = [(one["release"], one["state"]) for one in page["items"] + rest["items"]]
    assert [(THIRD, "refused"), (SECOND, "champion"), (FIRST, "former champion")] == listed
    assert (SECOND, None) == (page["champion"], rest["next_cursor"])
    assert (14, 2, 0, "t") == tuple(
        page["items"][0][key] for key in ("products", "categories", "corrections", "hold_out")
    )


def test_the_recorded_champion_wins_over_the_verdicts(harness: FeedbackHarness, store: FakeStore) -> None:
    write_champion(store, FIRST)

    assert FIRST == get(harness, "/releases").json()["champion"]


def test_a_rollback_changes_the_champion_of_a_version_that_did_not_record_it(
    harness: FeedbackHarness, store: FakeStore
) -> None:
    rollback = {"from": SECOND, "to": FIRST, "done": True, "reasons": [], "at": "2026-02-01T00:00:00+00:00"}
    store.put("reports/rollbacks/20260201T000000.json", json.dumps(rollback).encode())

    assert FIRST == get(harness, "/releases").json()["champion"]


def test_a_release_is_described_with_its_data(harness: FeedbackHarness) -> None:
    found = get(harness, f"/releases/{SECOND}").json()

    assert [(WRONG, 9), (RIGHT, 5)] == [(one["code"], one["products"]) for one in found["products_by_category"]]
    assert {"promoted": True, "champion": FIRST, "reasons": ["better"]} == {
        name: value for name, value in found["verdict"].items() if name != "decided"
    }
    assert 404 == get(harness, "/releases/r-20270101T000000-00000000").status_code


@pytest.mark.parametrize(
    ("path", "body", "kind", "release"),
    [
        (f"/releases/{THIRD}/promote", None, "promote", THIRD),
        ("/releases/rollback", None, "rollback", FIRST),
        (f"/releases/{THIRD}/canary", {"share": 0.25}, "canary", THIRD),
        (f"/releases/{THIRD}/canary", {"share": 0.0}, "stop_canary", ""),
    ],
)
def test_an_action_is_requested_and_its_result_shown(
    harness: FeedbackHarness, store: FakeStore, path: str, body: object, kind: str, release: str
) -> None:
    accepted = post(harness, path, body)
    receipt = accepted.json()
    active = get(harness, receipt["status_url"]).json()
    second = post(harness, f"/releases/{FIRST}/promote")
    (pending,) = pending_actions(store)
    finished = datetime(2026, 2, 1, tzinfo=UTC)
    write_result(store, ActionResult(action_id=pending.action_id, done=False, reason="refused", finished=finished))
    ended = get(harness, receipt["status_url"]).json()

    assert (202, receipt["status_url"]) == (accepted.status_code, accepted.headers["location"])
    assert (kind, release, "active", "adam") == tuple(
        active[name] for name in ("kind", "release", "state", "requested_by")
    )
    assert (409, receipt["status_url"]) == (second.status_code, second.json()["status_url"])
    assert ("failed", "refused") == (ended["state"], ended["reason"])
    assert [] == pending_actions(store)


def test_a_running_canary_has_its_state(harness: FeedbackHarness, store: FakeStore) -> None:
    action = post(harness, f"/releases/{THIRD}/canary", {"share": 0.5}).json()["action_id"]
    done = ActionResult(action_id=action, done=True, reason="", finished=datetime(2026, 2, 1, tzinfo=UTC))
    write_result(store, done)

    assert "canary" == get(harness, "/releases").json()["items"][0]["state"]


@pytest.mark.parametrize(
    ("path", "body", "status"),
    [
        ("/releases/r-20270101T000000-00000000/promote", None, 404),
        (f"/releases/{SECOND}/canary", {"share": 0.5}, 409),
        (f"/releases/{THIRD}/canary", {"share": 1.5}, 422),
        (f"/releases/{THIRD}/canary", {"percent": 10}, 422),
    ],
)
def test_an_action_that_makes_no_sense_is_refused(
    harness: FeedbackHarness, store: FakeStore, path: str, body: object, status: int
) -> None:
    assert status == post(harness, path, body).status_code
    assert [] == pending_actions(store)


def test_without_a_release_before_a_rollback_is_refused(harness: FeedbackHarness, store: FakeStore) -> None:
    write_champion(store, FIRST)

    assert 409 == post(harness, "/releases/rollback").status_code


@pytest.mark.parametrize("path", ["/releases/rollback", f"/releases/{THIRD}/promote"])
def test_only_an_admin_acts(harness: FeedbackHarness, path: str) -> None:
    assert 403 == post(harness, path, role="reviewer").status_code


def test_the_quality_of_a_release_has_confusions_and_the_corrections_of_each_day(
    harness: FeedbackHarness, store: FakeStore
) -> None:
    write_reports(store, SECOND, quality=json.dumps(EVALUATION).encode(), suspects=None)
    prediction = store_prediction(store)
    harness.submit({"prediction_id": prediction, "code": RIGHT}, role="reviewer")
    harness.submit(product_correction("Robe"), user="bob")
    found = get(harness, "/quality").json()

    assert (SECOND, 0.72) == (found["release"], found["scores"]["fusion"]["weighted_f1"])
    assert [WRONG, RIGHT] == [one["code"] for one in found["by_category"]]
    assert [(RIGHT, WRONG, 2), (WRONG, RIGHT, 1)] == [
        (one["code"], one["predicted"], one["items"]) for one in found["confusions"]
    ]
    assert (EVALUATION["calibration"], EVALUATION["coverage"]) == (found["calibration"], found["coverage"])
    assert [THIRD, SECOND, FIRST] == [one["release"] for one in found["releases"]]
    assert [(2, 1, 0, 1.0)] == [
        tuple(one[name] for name in ("corrections", "accepted", "rejected", "acceptance_rate"))
        for one in found["feedback"]
    ]


def test_a_release_of_an_earlier_version_has_no_confusions(harness: FeedbackHarness) -> None:
    found = get(harness, "/quality", release=FIRST).json()

    assert (FIRST, [], [], []) == tuple(found[name] for name in ("release", "confusions", "calibration", "coverage"))


def test_before_the_first_release_everything_is_empty() -> None:
    with FeedbackHarness(FakeStore(), None) as harness:
        found = [get(harness, path).json() for path in ("/releases", "/quality", "/suspects", "/drift")]

    assert ([], None, []) == (found[0]["items"], found[1]["release"], found[2]["items"])
    assert {"windows": [], "next_cursor": None} == found[3]


def test_suspects_are_listed_by_page_and_category(harness: FeedbackHarness, store: FakeStore) -> None:
    rows = [SUSPECT | {"product_id": number, "code": (RIGHT, WRONG)[number % 2]} for number in range(5)]
    report = json.dumps({"labels": 100, "suspects": rows}).encode()
    write_reports(store, SECOND, quality=b"{}", suspects=report)
    first = get(harness, "/suspects", limit=2).json()
    second = get(harness, "/suspects", limit=2, cursor=first["next_cursor"]).json()
    filtered = get(harness, "/suspects", code=RIGHT).json()

    assert (100, [0, 1], [2, 3]) == (
        first["labels"],
        *([one["product_id"] for one in page["items"]] for page in (first, second)),
    )
    assert ([0, 2, 4], None) == ([one["product_id"] for one in filtered["items"]], filtered["next_cursor"])


def test_monitored_windows_are_listed_newest_first(harness: FeedbackHarness, store: FakeStore) -> None:
    moment = datetime(2026, 2, 1, tzinfo=UTC)
    for day in (1, 2, 3):
        window = DriftWindow(
            window_id=f"d-2026020{day}T000000-0000000{day}",
            created=moment,
            since=moment,
            until=moment,
            release=SECOND,
            products=5,
            sampled=5,
            verdict="quiet",
        )
        write_window(store, window)
    first = get(harness, "/drift", limit=2).json()
    second = get(harness, "/drift", limit=2, cursor=first["next_cursor"]).json()

    assert [["3", "2"], ["1"]] == [[one["window_id"][-1] for one in page["windows"]] for page in (first, second)]
    assert second["next_cursor"] is None
