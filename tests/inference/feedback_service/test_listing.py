"""Lists of corrections over HTTP: whose they are, their size, and many at once."""

from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from datetime import timedelta
from functools import partial
from typing import Any, get_args

import pytest

from product_classifier.feedback.index import FeedbackIndex
from product_classifier.feedback.records import Correction, ProductContent, new_id
from product_classifier.feedback.trust import State
from product_classifier.limits import COMMENT_CHARACTERS, KIB, LISTED_BYTES
from tests.support.corrections import put
from tests.support.fakes import FakeStore
from tests.support.feedback_service_harness import RIGHT, FeedbackHarness, product_correction

USERS = ("ann", "ANN", "bob")


def all_pages(fetch: Callable[..., Any], **query: object) -> list[dict[str, Any]]:
    """Return the items of all pages."""
    items: list[dict[str, Any]] = []
    while True:
        page = fetch(**query).json()
        items += page["items"]
        if page["next_cursor"] is None:
            assert page["total"] == len(items)
            return items
        query["cursor"] = page["next_cursor"]


def test_a_user_lists_only_own_corrections_with_any_filter_and_cursor(harness: FeedbackHarness) -> None:
    owners = {}
    for number in range(4):
        for user in USERS:
            harness.clock.time += timedelta(minutes=1)
            response = harness.submit(product_correction(f"produit {number} {user}", comment=f"de {user}"), user)
            owners[response.json()["feedback_id"]] = user
    for identifier in list(owners)[:6]:
        harness.review(identifier, "approve" if owners[identifier] == "ann" else "reject")

    for user in USERS:
        own = [identifier for identifier in reversed(owners) if owners[identifier] == user]
        fetch = partial(harness.list, user, "user")
        everything = all_pages(fetch, limit=3)
        states = [item for state in get_args(State) for item in all_pages(fetch, limit=1, state=state)]

        assert own == [item["feedback_id"] for item in everything]
        assert sorted(own) == sorted(item["feedback_id"] for item in states)
        assert {(user, None)} == {(item["user"], item["reviewer"]) for item in everything + states}
        for identifier in owners:
            page = fetch(cursor=identifier)
            if identifier in own:
                assert own[own.index(identifier) + 1 :] == [item["feedback_id"] for item in page.json()["items"]]
            else:
                missing = new_id()
                unknown = fetch(cursor=missing)
                assert 404 == unknown.status_code == page.status_code
                assert unknown.json()["detail"].replace(missing, identifier) == page.json()["detail"]


def test_the_filter_of_another_user_is_refused_or_ignored(harness: FeedbackHarness) -> None:
    harness.submit(product_correction("secret"), "bob")
    queries = ({"user": "bob"}, {"limit": 200}, {"state": "pending"})
    responses = [harness.client.get("/feedback", params=query, headers=harness.headers("ann")) for query in queries]

    assert ["secret" in response.text for response in responses] == [False] * 3
    assert {"items": [], "total": 0} == {name: responses[1].json()[name] for name in ("items", "total")}


@pytest.mark.parametrize("character", ["\U0001f457", "\x01", '"'])
def test_a_page_is_cut_at_its_size_and_continued_by_its_cursor(store: FakeStore, character: str) -> None:
    index = FeedbackIndex(store)
    with FeedbackHarness(store, None, index=index) as harness:
        made = []
        for number in range(150):
            created = harness.clock.time + timedelta(seconds=number)
            made.append(
                Correction(
                    feedback_id=new_id(created),
                    created=created,
                    user="ann",
                    role="user",
                    product=ProductContent(designation=character * 2000, description=character * 2000),
                    code=RIGHT,
                    comment=character * COMMENT_CHARACTERS,
                )
            )
            put(store, made[-1])  # a refresh of the index removes what the store does not hold
            index.add(made[-1])
        sizes = []

        def fetch(**query: object) -> Any:
            response = harness.list(**query)
            sizes.append(len(response.content))
            return response

        found = all_pages(fetch, limit=200)

    assert [one.feedback_id for one in reversed(made)] == [item["feedback_id"] for item in found]
    assert max(sizes) <= LISTED_BYTES + KIB


def test_16_lists_at_once_and_submissions_beside_them_are_all_accepted(harness: FeedbackHarness) -> None:
    for number in range(50):
        harness.submit(product_correction(f"produit {number}"))

    def request(number: int) -> int:
        if number % 3:
            status: int = harness.list(["rita", "ann"][number % 2], limit=50).status_code
        else:
            status = harness.submit(product_correction(f"nouveau {number}"), "bob").status_code
        return status

    with ThreadPoolExecutor(24) as pool:  # 16 of them list
        statuses = list(pool.map(request, range(120)))

    assert {200: 80, 201: 40} == {status: statuses.count(status) for status in set(statuses)}
