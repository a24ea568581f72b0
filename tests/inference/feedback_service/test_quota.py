"""The number of corrections that a user may submit on a day."""

from concurrent.futures import ThreadPoolExecutor
from datetime import timedelta
from pathlib import Path
from typing import Any

import pytest

from product_classifier.feedback.index import FeedbackIndex
from tests.support.fakes import FakeStore
from tests.support.feedback_service_harness import (
    RIGHT,
    FeedbackHarness,
    correction_keys,
    product_correction,
    store_prediction,
)


def submit(harness: FeedbackHarness, number: int, user: str = "ann", **more: Any) -> int:
    status: int = harness.submit(product_correction(f"produit {number}"), user, **more).status_code
    return status


@pytest.mark.parametrize("role", ["user", "reviewer", "admin"])
def test_a_correction_beyond_the_quota_is_429_until_the_next_day(store: FakeStore, role: str) -> None:
    with FeedbackHarness(store, None, daily_corrections=2) as harness:
        accepted = [submit(harness, number, role=role) for number in range(2)]
        refused = harness.submit(product_correction("produit 2"), "ann", role)
        other_user = submit(harness, 2, "bob")
        harness.clock.time += timedelta(seconds=int(refused.headers["retry-after"]) - 1)
        last_second = submit(harness, 2, role=role)
        harness.clock.time += timedelta(seconds=1)
        next_day = submit(harness, 2, role=role)

    assert ([201, 201], 429, 201) == (accepted, refused.status_code, other_user)
    assert ("43200", "urn:product-classifier:problem:quota-exceeded") == (
        refused.headers["retry-after"],
        refused.json()["type"],
    )
    assert (429, 201, 4) == (last_second, next_day, len(correction_keys(store)))


def test_a_repeated_or_refused_request_does_not_count(store: FakeStore) -> None:
    with FeedbackHarness(store, None, daily_corrections=2) as harness:
        statuses = [submit(harness, 1, key="k-1") for _ in range(5)]
        statuses.append(harness.submit({"prediction_id": "nope", "code": RIGHT}).status_code)
        statuses.append(submit(harness, 2, key="k-1"))
        statuses.append(submit(harness, 2))
        statuses.append(submit(harness, 3))
        repeated = submit(harness, 1, key="k-1")

    assert [201, 200, 200, 200, 200, 422, 409, 201, 429] == statuses
    assert 200 == repeated


def test_a_correction_of_a_prediction_counts_too(store: FakeStore) -> None:
    with FeedbackHarness(store, None, daily_corrections=1) as harness:
        statuses = [
            harness.submit({"prediction_id": store_prediction(store, name), "code": RIGHT}).status_code for name in "ab"
        ]

    assert [201, 429] == statuses


@pytest.mark.parametrize("is_away", [False, True], ids=["store available", "store unavailable"])
def test_the_quota_survives_a_restart(store: FakeStore, tmp_path: Path, is_away: bool) -> None:
    statuses = []
    for number in range(3):
        index = FeedbackIndex(store, tmp_path / "index.sqlite")
        with FeedbackHarness(store, tmp_path / "journal", index=index, daily_corrections=2) as harness:
            store.away = is_away
            statuses.append(submit(harness, number))
        index.close()

    assert [201, 201, 429] == statuses


def test_concurrent_requests_do_not_exceed_the_quota(store: FakeStore) -> None:
    with FeedbackHarness(store, None, daily_corrections=5) as harness, ThreadPoolExecutor(16) as pool:
        statuses = list(pool.map(lambda number: submit(harness, number), range(40)))

    assert (5, 35, 5) == (statuses.count(201), statuses.count(429), len(correction_keys(store)))
