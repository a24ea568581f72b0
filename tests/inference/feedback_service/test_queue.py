"""The queue offers what to label next, an item to one user at a time, on any number of servers."""

import json
from collections import Counter
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from datetime import timedelta
from typing import Any

import pytest

from product_classifier.catalogue.challenge import CHALLENGE
from product_classifier.feedback.queue_leases import DURATION, MAX_SKEW, QueueLeases
from product_classifier.feedback.queue_records import QueueEntry
from product_classifier.feedback.records import (
    CategoryProbability,
    Modalities,
    PredictionRecord,
    ProductContent,
    image_key,
    new_id,
)
from tests.support.corrections import NOW, make_correction, make_prediction
from tests.support.fakes import FakeStore
from tests.support.feedback_service_harness import (
    RIGHT,
    WRONG,
    AdjustableClock,
    FeedbackHarness,
    photo,
    product_correction,
)

A, B = CHALLENGE.codes[:2]


def predictions() -> list[PredictionRecord]:
    """Return two uncertain predictions, a more certain one, and one whose text and photo differ."""
    differing = Modalities(
        text=CategoryProbability(code=A, probability=1), image=CategoryProbability(code=B, probability=1)
    )
    return [
        make_prediction(words, NOW - timedelta(hours=hours)).model_copy(update={"confidence": confidence} | fields)
        for words, hours, confidence, fields in (
            ("théière en fonte", 3, 0.3, {}),
            ("bouilloire électrique rouge", 2, 0.4, {}),
            ("lampe de bureau noire", 1, 0.95, {"modalities": differing}),
        )
    ]


def entry(**fields: Any) -> QueueEntry:
    options: dict[str, Any] = {"entry_id": new_id(NOW), "created": NOW, "reason": "suspected_label", "score": 0.9}
    return QueueEntry(
        **(options | {"product": ProductContent(designation="vase"), "label": A, "suggested": B} | fields)
    )


@pytest.fixture
def stored(store: FakeStore) -> list[PredictionRecord]:
    records = predictions()
    for record in records:
        store.put(record.key, record.to_json())
    return records


@pytest.fixture
def harness(store: FakeStore, stored: list[PredictionRecord]) -> Iterator[FeedbackHarness]:
    with FeedbackHarness(store, None) as harness:
        yield harness


def queue(harness: FeedbackHarness, user: str = "ann", **query: object) -> list[dict[str, Any]]:
    response = harness.client.get("/queue", params=query, headers=harness.headers(user))
    assert 200 == response.status_code, response.text
    return list(response.json()["items"])


def test_two_users_never_get_the_same_item_and_one_gets_the_same_again(harness: FeedbackHarness) -> None:
    first, second = queue(harness, "ann", limit=1), queue(harness, "bob", limit=5)

    assert 1 == len(first)
    assert first == queue(harness, "ann", limit=1)
    assert set() == {one["item_id"] for one in first} & {one["item_id"] for one in second}
    assert 3 == len(first) + len(second)
    assert [] == queue(harness, "cid")


def test_two_servers_share_the_leases(harness: FeedbackHarness, store: FakeStore) -> None:
    mine = queue(harness, "ann", limit=2)
    with FeedbackHarness(store, None) as other:
        others, same = queue(other, "bob"), queue(other, "ann", limit=2)

    assert set() == {one["item_id"] for one in mine} & {one["item_id"] for one in others}
    assert {one["item_id"] for one in mine} == {one["item_id"] for one in same}


def test_an_item_says_why_it_is_offered(harness: FeedbackHarness, stored: list[PredictionRecord]) -> None:
    least_confident, _, differing = (one.prediction_id for one in stored)
    found = {one["item_id"]: one for one in queue(harness)}

    assert ("uncertain", "confidence 0.30") == (found[least_confident]["reason"], found[least_confident]["detail"])
    assert 0.3 == found[least_confident]["prediction"]["confidence"]
    assert ("models_disagree", "text and photo") == (found[differing]["reason"], found[differing]["detail"])
    assert {differing} == {one["item_id"] for one in queue(harness, reason="models_disagree")}


def test_what_was_labelled_or_skipped_is_not_offered_again(
    harness: FeedbackHarness, stored: list[PredictionRecord]
) -> None:
    labelled, skipped, *_ = (one["item_id"] for one in queue(harness))
    answer = harness.submit({"item_id": labelled, "code": RIGHT})
    headers = harness.headers("ann")

    assert 204 == harness.client.post(f"/queue/{skipped}/skip", headers=headers).status_code
    assert 201 == answer.status_code
    assert {labelled, skipped}.isdisjoint({one["item_id"] for one in queue(harness)})
    assert 404 == harness.client.post(f"/queue/{new_id(NOW)}/skip", headers=headers).status_code
    assert 404 == harness.submit({"item_id": skipped, "code": RIGHT}, "bob").status_code
    harness.clock.time += DURATION + MAX_SKEW
    assert skipped in {one["item_id"] for one in queue(harness, "bob")}
    assert skipped not in {one["item_id"] for one in queue(harness)}


def test_entries_of_pipelines_are_offered_with_label_and_suggestion(store: FakeStore) -> None:
    sha256 = "a" * 64
    suspect = entry(product=ProductContent(designation="vase", image_sha256=sha256))
    store.put(suspect.key, suspect.to_json())
    store.put(image_key(sha256), photo())
    store.put("queue/entries/suspected_label/damaged.json", b"{}")
    with FeedbackHarness(store, None) as harness:
        shown = harness.client.get(f"/photos/{sha256}", headers=harness.headers("ann")).status_code
        (item,) = queue(harness, reason="suspected_label")
        leased = harness.client.get(f"/photos/{sha256}", headers=harness.headers("ann")).status_code
        harness.submit({"item_id": item["item_id"], "code": RIGHT})
        (given,) = harness.list("ann", "user").json()["items"]

        assert (404, 200) == (shown, leased)
        assert [str(A), str(B)] == [str(item[name]["code"]) for name in ("label", "suggested")]
        assert suspect.product is not None
        assert suspect.product.model_dump() == given["product"]


def test_products_whose_users_disagree_are_offered_to_others(store: FakeStore) -> None:
    for user, code in (("ann", 0), ("bob", 1)):
        record = make_correction("vase", user, code)
        store.put(record.key, record.to_json())
    with FeedbackHarness(store, None) as harness:
        (item,) = queue(harness, "cid")

        assert "users_disagree" == item["reason"]
        assert [] == queue(harness, "ann")
        harness.submit({"item_id": item["item_id"], "code": WRONG}, "cid")
        assert [] == queue(harness, "cid")


def test_of_concurrent_users_on_many_servers_one_gets_an_item() -> None:
    store, clock = FakeStore(), AdjustableClock()
    items = [new_id(NOW) for _ in range(5)]

    def lease_all(user: str) -> list[str]:
        leases = QueueLeases(store, clock)
        return [item for item in items if leases.acquire(user, item) is not None]

    for _ in range(3):
        with ThreadPoolExecutor(8) as pool:
            found = list(pool.map(lease_all, [f"user {number}" for number in range(8)]))
        assert Counter(items) == Counter(item for some in found for item in some)
        clock.time += DURATION + MAX_SKEW


def test_a_lease_counts_until_clocks_agree_that_it_expired() -> None:
    store, clock = FakeStore(), AdjustableClock()
    leases, (item,) = QueueLeases(store, clock), [new_id(NOW)]
    assert leases.acquire("ann", item)

    clock.time += DURATION
    assert leases.acquire("bob", item) is None
    assert leases.acquire("ann", item) is not None
    clock.time += DURATION + MAX_SKEW
    assert leases.acquire("bob", item) is not None
    assert not leases.holds("ann", item)
    assert 1 == len(list(store.list("queue/leases/")))


def test_suspected_labels_of_the_release_in_service_are_offered(store: FakeStore) -> None:
    release = "r-20300501T000000-0badcafe"
    row = {
        "product_id": 7,
        "designation": "vase",
        "description": "",
        "image_sha256": "a" * 64,
        "code": A,
        "probability": 0.02,
        "suggested_code": B,
        "suggested_probability": 0.9,
    }
    manifest = {"id": release, "created": "2030-05-01T00:00:00Z"}
    store.put(f"models/{release}/release.json", json.dumps(manifest).encode())
    store.put("reports/champion.json", json.dumps({"release": release, "created": "2030-05-01T00:00:00Z"}).encode())
    suspects = {"labels": 2, "suspects": [row, {"product_id": 8}]}
    store.put(f"reports/suspects/{release}.json", json.dumps(suspects).encode())
    with FeedbackHarness(store, None) as harness:
        (item,) = queue(harness)
        again = queue(harness)
        harness.submit({"item_id": item["item_id"], "code": RIGHT})

        assert ("suspected_label", "product 7: probability of its label 0.02") == (item["reason"], item["detail"])
        assert [str(A), str(B)] == [str(item[name]["code"]) for name in ("label", "suggested")]
        assert [item] == again
        assert [] == queue(harness, "bob")


@pytest.mark.parametrize("right", [True, False])
def test_an_answer_to_a_known_product_is_counted_and_no_correction(
    store: FakeStore, stored: list[PredictionRecord], *, right: bool
) -> None:
    with FeedbackHarness(store, None, known_answer_share=0.5) as harness:
        harness.submit(product_correction("vase"), "rita", "reviewer")
        for _ in range(50):
            items = queue(harness, limit=3)
            if known := [one for one in items if one["product"]["designation"] == "vase"]:
                break
        answer = harness.submit({"item_id": known[0]["item_id"], "code": RIGHT if right else WRONG})
        repeated = harness.submit({"item_id": known[0]["item_id"], "code": RIGHT})
        quality = harness.client.get("/quality/reviewers", headers=harness.headers("rita", "reviewer")).json()
        corrections = harness.list().json()["items"]

    assert 3 == len(items)
    assert ("uncertain", None, None) == tuple(known[0][name] for name in ("reason", "prediction", "feedback_id"))
    assert RIGHT == answer.json()["known_answer"]
    assert answer.json()["code"] == repeated.json()["code"]
    assert ["rita"] == [one["user"] for one in corrections]
    expected = {"user": "ann", "comparisons": 0, "agreement": None, "known_answers": 1, "right": int(right)}
    assert [expected] == quality["items"]


def test_agreement_is_that_of_users_who_labelled_the_same_products(harness: FeedbackHarness) -> None:
    for user, role, words, code in (
        ("ann", "user", "vase", RIGHT),
        ("bob", "user", "vase", RIGHT),
        ("ann", "user", "lampe", RIGHT),
        ("rita", "reviewer", "lampe", WRONG),
        ("cid", "user", "tasse", WRONG),
    ):
        harness.clock.time += timedelta(seconds=1)
        identifier = harness.submit(product_correction(words, code), user, role).json()["feedback_id"]
    harness.review(identifier)
    response = harness.client.get("/quality/reviewers", headers=harness.headers("rita", "reviewer"))

    found = {one["user"]: (one["comparisons"], one["agreement"]) for one in response.json()["items"]}
    assert {"ann": (2, 0.5), "bob": (1, 1.0), "rita": (2, 0.5), "cid": (1, 1.0)} == found
