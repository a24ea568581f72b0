"""Lists of predictions over HTTP: whose they are, and the feedback on them."""

from collections.abc import Iterator
from typing import Any

import pytest

from tests.support.fakes import FakeStore
from tests.support.feedback_service_harness import RIGHT, FeedbackHarness, store_prediction


@pytest.fixture
def identifier(store: FakeStore) -> str:
    """Return the id of a prediction that was stored before the service started."""
    return store_prediction(store, "Chemise " + "b" * 600)


@pytest.fixture
def harness(store: FakeStore, identifier: str) -> Iterator[FeedbackHarness]:
    with FeedbackHarness(store, None) as harness:
        yield harness


def get(harness: FeedbackHarness, path: str, user: str = "rita", role: str = "reviewer", **query: object) -> Any:
    return harness.client.get(path, params=query, headers=harness.headers(user, role))


def test_a_user_sees_own_predictions_and_a_reviewer_all(harness: FeedbackHarness, identifier: str) -> None:
    for user, role, count in (("ann", "user", 1), ("bob", "user", 0), ("rita", "reviewer", 1)):
        page = get(harness, "/predictions", user, role).json()
        assert count == len(page["items"])
        assert page["is_complete"]
        assert (200 if count else 404) == get(harness, f"/predictions/{identifier}", user, role).status_code


def test_an_item_has_its_product_its_prediction_and_the_feedback_on_it(
    harness: FeedbackHarness, identifier: str
) -> None:
    given = harness.submit({"prediction_id": identifier, "code": RIGHT}, "bob").json()

    (item,) = get(harness, "/predictions", "ann", "user").json()["items"]
    whole = get(harness, f"/predictions/{identifier}").json()

    assert item["is_cut"]
    assert "Chemise " + "b" * 600 == whole["product"]["designation"]
    assert 0.5 == item["confidence"]
    assert [(given["feedback_id"], RIGHT, "pending", None)] == [
        (one["feedback_id"], one["code"], one["state"], one["user"]) for one in item["feedback"]
    ]
    assert "bob" == whole["feedback"][0]["user"]


def test_a_query_that_is_not_valid_is_a_problem(harness: FeedbackHarness) -> None:
    for query in ({"since": "yesterday"}, {"limit": 0}, {"decision": "maybe"}, {"q": ""}, {"q": "?!"}, {"x": "1"}):
        response = get(harness, "/predictions", **query)
        assert 422 == response.status_code
        assert "application/problem+json" == response.headers["content-type"]
    assert 404 == get(harness, "/predictions/01900000-0000-7000-8000-000000000000").status_code
