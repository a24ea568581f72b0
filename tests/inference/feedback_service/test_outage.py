"""The store unavailable or full, the disk full, and a damaged journal."""

import errno
from pathlib import Path

import pytest

from product_classifier.errors import ObjectExists, StoreUnavailable
from product_classifier.feedback.records import Correction, new_id
from tests.product_classifier.store.test_journal import FailingDisk
from tests.support.fakes import FakeStore
from tests.support.feedback_service_harness import (
    RIGHT,
    WRONG,
    FeedbackHarness,
    correction_keys,
    photo_correction,
    product_correction,
    store_prediction,
)


class StoreThatLosesResponses(FakeStore):
    """Writes an object, then resets the connection and becomes unavailable."""

    def put(self, key: str, data: bytes, *, only_if_absent: bool = False) -> None:
        super().put(key, data, only_if_absent=only_if_absent)
        if key.startswith("feedback/") and not self.away:
            self.away = True
            raise StoreUnavailable("reset by peer")


class FullStore(FakeStore):
    """Responds to reads and refuses writes."""

    full = True

    def put(self, key: str, data: bytes, *, only_if_absent: bool = False) -> None:
        if self.full:
            raise StoreUnavailable("no space left")
        super().put(key, data, only_if_absent=only_if_absent)


class RestrictedStore(FakeStore):
    """A store whose credentials allow the prefixes of corrections and photos."""

    def exists(self, key: str) -> bool:
        if not key.startswith(("feedback/", "images/")):
            raise StoreUnavailable(f"{key!r}: access denied")
        return super().exists(key)

    def put(self, key: str, data: bytes, *, only_if_absent: bool = False) -> None:
        if not key.startswith(("feedback/", "images/")):
            raise StoreUnavailable(f"{key!r}: access denied")
        super().put(key, data, only_if_absent=only_if_absent)


def test_credentials_restricted_to_prefixes_are_enough_to_recover(tmp_path: Path) -> None:
    store = RestrictedStore()
    with FeedbackHarness(store, tmp_path) as harness:
        store.away = True
        harness.submit(product_correction())
        store.away = False

        assert harness.wait_until_replayed()


def test_corrections_and_reviews_during_an_outage_are_acknowledged_and_stored_afterwards(
    harness: FeedbackHarness, store: FakeStore
) -> None:
    prediction = store_prediction(store)
    earlier = harness.submit(product_correction("avant")).json()["feedback_id"]
    store.away = True
    responses = [
        harness.submit({"prediction_id": prediction, "code": RIGHT}),
        harness.submit(product_correction(), key="k-1"),
        harness.submit(photo_correction()),
        harness.review(earlier),
    ]
    repeated = (
        harness.submit(product_correction(), key="k-1"),
        harness.submit(product_correction(code=WRONG), key="k-1"),
    )
    waiting = list(store.objects)
    store.away = False

    assert harness.wait_until_replayed()
    assert [response.status_code for response in responses] == [201, 201, 201, 200]
    assert [response.status_code for response in repeated] == [200, 409]
    assert len(waiting) == 2
    assert len(correction_keys(store)) == 4
    assert len(list(store.list("images/"))) == 1
    assert {item["state"] for item in harness.list().json()["items"]} == {"pending", "approved"}


def test_a_correction_during_an_outage_is_joined_with_its_prediction_afterwards(
    harness: FeedbackHarness, store: FakeStore
) -> None:
    prediction = store_prediction(store)
    store.away = True
    for body in ({"prediction_id": prediction, "code": RIGHT}, {"prediction_id": new_id(), "code": RIGHT}):
        harness.submit(body)
    store.away = False

    assert harness.wait_until_replayed()
    harness.client.get("/retrain", headers=harness.headers("adam", "admin"))
    products = [item["product"] for item in harness.list().json()["items"]]
    assert sorted(found["designation"] if found else "none" for found in products) == ["Chemise bleue", "none"]


def test_a_write_whose_response_was_lost_is_stored_once(tmp_path: Path) -> None:
    store = StoreThatLosesResponses()
    with FeedbackHarness(store, tmp_path) as harness:
        statuses = [harness.submit(product_correction(), key="k-1").status_code for _ in range(2)]
        keys = list(store.objects)
        store.put = super(StoreThatLosesResponses, store).put  # type: ignore[method-assign]
        store.away = False

        assert harness.wait_until_replayed()
    assert (statuses, correction_keys(store)) == ([201, 200], keys)


def test_without_a_journal_an_outage_is_503_and_not_ready(store: FakeStore) -> None:
    with FeedbackHarness(store, None) as harness:
        store.away = True
        response, ready = harness.submit(product_correction()), harness.client.get("/readyz")
        alive = harness.client.get("/healthz")
        store.away = False

    assert (response.status_code, response.headers["retry-after"]) == (503, "5")
    assert (ready.status_code, alive.status_code) == (503, 200)


@pytest.mark.parametrize("operation", ["create", "write", "sync"])
def test_nothing_is_acknowledged_while_the_store_is_unavailable_and_the_disk_full(
    store: FakeStore, tmp_path: Path, operation: str
) -> None:
    with FeedbackHarness(store, tmp_path, disk=FailingDisk(operation, at=1, code=errno.ENOSPC)) as harness:
        store.away = True
        first, second = harness.submit(product_correction(), key="k-1"), harness.submit(product_correction(), key="k-1")
        store.away = False

        assert harness.wait_until_replayed()
    assert (first.status_code, second.status_code) == (503, 201)
    assert len(correction_keys(store)) == 1


def test_a_full_journal_answers_503(store: FakeStore, tmp_path: Path) -> None:
    with FeedbackHarness(store, tmp_path) as harness:
        store.away = True
        statuses = [harness.submit(product_correction(f"{number:09}" * 1000)).status_code for number in range(200)]

    assert statuses[0] == 201
    assert statuses[-1] == 503
    assert sorted(statuses) == statuses


def test_a_journal_left_by_an_earlier_process_is_replayed(store: FakeStore, tmp_path: Path) -> None:
    store.away = True
    with FeedbackHarness(store, tmp_path) as harness:
        first = harness.submit(product_correction(), key="k-1").json()
    with FeedbackHarness(store, tmp_path) as harness:
        again, other = (
            harness.submit(product_correction(), key="k-1"),
            harness.submit(product_correction(code=WRONG), key="k-1"),
        )
        store.away = False

        assert harness.wait_until_replayed()
    assert (again.status_code, again.json(), other.status_code) == (200, first, 409)
    assert len(correction_keys(store)) == 1
    assert list(tmp_path.iterdir()) == []


def test_a_damaged_segment_is_reported_and_set_aside_and_its_other_records_are_stored(
    store: FakeStore, tmp_path: Path
) -> None:
    store.away = True
    with FeedbackHarness(store, tmp_path) as harness:
        for number in range(3):
            harness.submit(product_correction(f"produit {number}"))
    (segment,) = tmp_path.iterdir()
    data = bytearray(segment.read_bytes())
    data[len(data) // 2] ^= 1
    segment.write_bytes(data)
    store.away = False
    with FeedbackHarness(store, tmp_path) as harness:
        assert harness.wait_until_replayed()
        metrics = harness.client.get("/metrics").text

    assert len(correction_keys(store)) == 2
    assert "product_classifier_journal_damaged_ranges 1.0" in metrics
    assert [path.suffix for path in tmp_path.iterdir()] == [".damaged"]


def test_a_full_store_counts_as_unavailable(tmp_path: Path) -> None:
    store = FullStore()
    with FeedbackHarness(store, tmp_path) as harness:
        response = harness.submit(product_correction())
        store.full = False

        assert harness.wait_until_replayed()
    assert (response.status_code, len(correction_keys(store))) == (201, 1)


def test_a_correction_repeated_to_a_new_process_during_an_outage_is_stored_once(
    store: FakeStore, tmp_path: Path
) -> None:
    with FeedbackHarness(store, None) as harness:
        harness.submit(product_correction(), key="k-1")
    store.away = True
    with FeedbackHarness(store, tmp_path) as harness:
        statuses = [harness.submit(product_correction(code=code), key="k-1").status_code for code in (RIGHT, WRONG)]
        store.away = False

        assert harness.wait_until_replayed()
    assert (statuses, len(correction_keys(store))) == ([201, 409], 1)


def test_two_corrections_acknowledged_under_one_key_are_both_stored(store: FakeStore, tmp_path: Path) -> None:
    """During an outage a new process cannot see that the key is in use, so it acknowledges the second."""
    with FeedbackHarness(store, None) as harness:
        harness.submit(product_correction(), key="k-1")
    store.away = True
    with FeedbackHarness(store, tmp_path) as harness:
        harness.submit(product_correction(code=WRONG), key="k-1")
        store.away = False

        assert harness.wait_until_replayed()
    codes = {Correction.from_json(store.get(key), key).code for key in correction_keys(store)}
    assert codes == {str(RIGHT), str(WRONG)}


def test_an_object_damaged_in_the_store_is_replaced_from_the_journal(tmp_path: Path) -> None:
    store = StoreThatLosesResponses()
    with FeedbackHarness(store, tmp_path) as harness:
        harness.submit(product_correction())
        (key,) = corrections_of(store)
        store.objects[key] = store.objects[key][:10]
        store.put = super(StoreThatLosesResponses, store).put  # type: ignore[method-assign]
        store.away = False

        assert harness.wait_until_replayed()
    assert Correction.from_json(store.get(key), key).code == str(RIGHT)


def corrections_of(store: FakeStore) -> list[str]:
    return [key for key in store.objects if key.startswith("feedback/")]


def test_two_servers_with_the_same_key_at_once_store_one_correction(store: FakeStore) -> None:
    class SlowStore(FakeStore):
        """A store to which another server writes the correction first."""

        def put(self, key: str, data: bytes, *, only_if_absent: bool = False) -> None:
            if key.startswith("feedback/") and not store.objects:
                store.put(key, data)
            raise ObjectExists(key)

    slow = SlowStore()
    slow.objects = store.objects
    with FeedbackHarness(slow, None) as harness:
        response = harness.submit(product_correction(), key="k-1")

    assert (response.status_code, len(correction_keys(store))) == (200, 1)
