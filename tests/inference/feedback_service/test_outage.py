"""The store away, slow or full; the disk full; damage on the disk."""

import errno
from pathlib import Path

import pytest

from product_classifier.errors import ObjectExists, StoreUnavailable
from product_classifier.feedback.records import Correction, new_id
from tests.product_classifier.store.test_journal import FailingDisk
from tests.support.fakes import FakeStore
from tests.support.feedback_service_harness import RIGHT, WRONG, Office, corrections, photographed, predict, product


class LosingReplies(FakeStore):
    """Writes, then does not say so."""

    def put(self, key: str, data: bytes, *, only_if_absent: bool = False) -> None:
        super().put(key, data, only_if_absent=only_if_absent)
        if key.startswith("feedback/") and not self.away:
            self.away = True
            raise StoreUnavailable("reset by peer")


class Full(FakeStore):
    """Answers everything but takes nothing."""

    full = True

    def put(self, key: str, data: bytes, *, only_if_absent: bool = False) -> None:
        if self.full:
            raise StoreUnavailable("no space left")
        super().put(key, data, only_if_absent=only_if_absent)


def test_corrections_of_all_kinds_are_kept_while_the_store_is_away_and_reach_it_afterwards(
    office: Office, store: FakeStore
) -> None:
    prediction = predict(store)
    earlier = office.give(product("avant")).json()["feedback_id"]
    store.away = True
    replies = [
        office.give({"prediction_id": prediction, "code": RIGHT}),
        office.give(product(), key="k-1"),
        office.give(photographed()),
        office.review(earlier),
    ]
    repeated = office.give(product(), key="k-1"), office.give(product(code=WRONG), key="k-1")
    waiting = list(store.objects)
    store.away = False

    assert office.until_drained()
    assert [reply.status_code for reply in replies] == [201, 201, 201, 200]
    assert [reply.status_code for reply in repeated] == [200, 409]
    assert len(waiting) == 2
    assert len(corrections(store)) == 4
    assert len(list(store.list("images/"))) == 1
    assert {item["state"] for item in office.list().json()["items"]} == {"pending", "approved"}


def test_a_correction_taken_blindly_is_joined_with_its_prediction_later(office: Office, store: FakeStore) -> None:
    prediction = predict(store)
    store.away = True
    for body in ({"prediction_id": prediction, "code": RIGHT}, {"prediction_id": new_id(), "code": RIGHT}):
        office.give(body)
    store.away = False

    assert office.until_drained()
    office.client.get("/retrain", headers=office.as_("adam", "admin"))
    products = [item["product"] for item in office.list().json()["items"]]
    assert sorted(found["designation"] if found else "nothing" for found in products) == ["Chemise bleue", "nothing"]


def test_a_write_whose_reply_was_lost_is_one_object(tmp_path: Path) -> None:
    store = LosingReplies()
    with Office(store, tmp_path) as office:
        statuses = [office.give(product(), key="k-1").status_code for _ in range(2)]
        keys = list(store.objects)
        store.put = super(LosingReplies, store).put  # type: ignore[method-assign]
        store.away = False

        assert office.until_drained()
    assert (statuses, corrections(store)) == ([201, 200], keys)


def test_without_a_journal_nothing_is_acknowledged_while_the_store_is_away(store: FakeStore) -> None:
    with Office(store, None) as office:
        store.away = True
        reply, ready = office.give(product()), office.client.get("/readyz")
        alive = office.client.get("/healthz")
        store.away = False

    assert (reply.status_code, reply.headers["retry-after"]) == (503, "5")
    assert (ready.status_code, alive.status_code) == (503, 200)


@pytest.mark.parametrize("operation", ["create", "write", "sync"])
def test_with_the_store_away_and_the_disk_full_nothing_is_acknowledged(
    store: FakeStore, tmp_path: Path, operation: str
) -> None:
    with Office(store, tmp_path, disk=FailingDisk(operation, at=1, code=errno.ENOSPC)) as office:
        store.away = True
        first, second = office.give(product(), key="k-1"), office.give(product(), key="k-1")
        store.away = False

        assert office.until_drained()
    assert (first.status_code, second.status_code) == (503, 201)
    assert len(corrections(store)) == 1


def test_a_full_journal_answers_503(store: FakeStore, tmp_path: Path) -> None:
    with Office(store, tmp_path) as office:
        store.away = True
        statuses = [office.give(product(f"{number:09}" * 1000)).status_code for number in range(200)]

    assert statuses[0] == 201
    assert statuses[-1] == 503
    assert sorted(statuses) == statuses


def test_what_a_dead_process_left_in_its_journal_reaches_the_store(store: FakeStore, tmp_path: Path) -> None:
    store.away = True
    with Office(store, tmp_path) as office:
        given = office.give(product(), key="k-1").json()
    with Office(store, tmp_path) as office:
        again, other = office.give(product(), key="k-1"), office.give(product(code=WRONG), key="k-1")
        store.away = False

        assert office.until_drained()
    assert (again.status_code, again.json(), other.status_code) == (200, given, 409)
    assert len(corrections(store)) == 1
    assert list(tmp_path.iterdir()) == []


def test_damage_in_the_journal_is_reported_and_set_aside_and_the_rest_is_saved(
    store: FakeStore, tmp_path: Path
) -> None:
    store.away = True
    with Office(store, tmp_path) as office:
        for number in range(3):
            office.give(product(f"produit {number}"))
    (segment,) = tmp_path.iterdir()
    data = bytearray(segment.read_bytes())
    data[len(data) // 2] ^= 1
    segment.write_bytes(data)
    store.away = False
    with Office(store, tmp_path) as office:
        assert office.until_drained()
        metrics = office.client.get("/metrics").text

    assert len(corrections(store)) == 2
    assert "feedback_journal_damages 1.0" in metrics
    assert [path.suffix for path in tmp_path.iterdir()] == [".damaged"]


def test_a_store_that_is_full_counts_as_away(tmp_path: Path) -> None:
    store = Full()
    with Office(store, tmp_path) as office:
        reply = office.give(product())
        store.full = False

        assert office.until_drained()
    assert (reply.status_code, len(corrections(store))) == (201, 1)


def test_the_same_key_taken_blindly_by_a_new_process_is_kept_once(store: FakeStore, tmp_path: Path) -> None:
    with Office(store, None) as office:
        office.give(product(), key="k-1")
    store.away = True
    with Office(store, tmp_path) as office:
        statuses = [office.give(product(code=code), key="k-1").status_code for code in (RIGHT, WRONG)]
        store.away = False

        assert office.until_drained()
    assert (statuses, len(corrections(store))) == ([201, 409], 1)


def test_another_correction_under_a_used_key_taken_blindly_is_kept_beside_the_first(
    store: FakeStore, tmp_path: Path
) -> None:
    """Nobody could know then that the key was used: it was acknowledged, so it is kept."""
    with Office(store, None) as office:
        office.give(product(), key="k-1")
    store.away = True
    with Office(store, tmp_path) as office:
        office.give(product(code=WRONG), key="k-1")
        store.away = False

        assert office.until_drained()
    codes = {Correction.from_json(store.get(key), key).code for key in corrections(store)}
    assert codes == {RIGHT, WRONG}


def test_an_object_damaged_in_the_store_is_replaced_by_the_one_that_waits(tmp_path: Path) -> None:
    store = LosingReplies()
    with Office(store, tmp_path) as office:
        office.give(product())
        (key,) = corrections_of(store)
        store.objects[key] = store.objects[key][:10]
        store.put = super(LosingReplies, store).put  # type: ignore[method-assign]
        store.away = False

        assert office.until_drained()
    assert Correction.from_json(store.get(key), key).code == RIGHT


def corrections_of(store: FakeStore) -> list[str]:
    return [key for key in store.objects if key.startswith("feedback/")]


def test_two_servers_that_get_the_same_key_at_once_keep_one_correction(store: FakeStore) -> None:
    class Slow(FakeStore):
        def put(self, key: str, data: bytes, *, only_if_absent: bool = False) -> None:
            if key.startswith("feedback/") and not store.objects:
                store.put(key, data)  # the other server was faster by a hair
            raise ObjectExists(key)

    slow = Slow()
    slow.objects = store.objects
    with Office(slow, None) as office:
        reply = office.give(product(), key="k-1")

    assert (reply.status_code, len(corrections(store))) == (200, 1)
