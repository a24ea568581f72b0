"""Erasure of a user, of a product, and of old predictions."""

from datetime import UTC, date, datetime, timedelta

import pytest

from product_classifier.errors import InvalidInput, ObjectNotFound, StoreUnavailable
from product_classifier.feedback.erasure import erase_product, erase_user, expire_predictions
from product_classifier.feedback.prediction_log.compaction import Compactor
from product_classifier.feedback.prediction_log.log_reader import read_records
from product_classifier.feedback.queue_records import QueueLease, skip_key
from product_classifier.feedback.records import (
    Correction,
    Modalities,
    PredictionRecord,
    ProductContent,
    Review,
    image_key,
    new_id,
)
from product_classifier.feedback.stored_products import read_prediction
from product_classifier.feedback.trust import product_key, states
from product_classifier.store import ObjectStore
from tests.support.fakes import FakeStore

DAY = datetime(2026, 3, 1, 12, tzinfo=UTC)
PHOTO = "ab" * 32


def prediction(user: str, title: str, photo: str | None = None, day: int = 0) -> PredictionRecord:
    created = DAY + timedelta(days=day)
    return PredictionRecord(
        prediction_id=new_id(created),
        created=created,
        user=user,
        product=ProductContent(designation=title, image_sha256=photo),
        code="10",
        confidence=0.5,
        top=(),
        modalities=Modalities(),
        degraded=False,
        release="r",
    )


def correction(user: str, of: PredictionRecord, code: str = "40") -> Correction:
    return Correction(
        feedback_id=new_id(of.created),
        created=of.created,
        user=user,
        role="user",
        prediction_id=of.prediction_id,
        product=of.product,
        code=code,
        comment=f"signed {user}",
    )


class World:
    """Two users agree about a lamp; one of them has a book with a photo too, and a reviewer rejected that."""

    def __init__(self) -> None:
        self.store = FakeStore()
        self.lamp, self.book = prediction("ann", "Lampe"), prediction("ann", "Livre", PHOTO, 1)
        self.corrections = [correction("ann", self.lamp), correction("bob", self.lamp), correction("ann", self.book)]
        self.review = Review(
            feedback_id=self.corrections[2].feedback_id, created=DAY, reviewer="eve", decision="rejected"
        )
        for record in (self.lamp, self.book, *self.corrections, self.review):
            self.store.put(record.key, record.to_json())
        self.store.put(image_key(PHOTO), b"photo")


def content(store: ObjectStore) -> bytes:
    """All that is stored, the log as text."""
    found = [store.get(key) for key in store.list() if not key.endswith(".parquet")]
    for kind in ("prediction", "correction", "review"):
        found += [record.to_json() for record in read_records(store, date(2026, 1, 1), kind)]  # type: ignore[arg-type]
    return b"\n".join(found)


def states_of(store: ObjectStore) -> list[str]:
    corrections = [one for one in read_records(store, date(2026, 1, 1), "correction") if isinstance(one, Correction)]
    reviews = [one for one in read_records(store, date(2026, 1, 1), "review") if isinstance(one, Review)]
    found = states(corrections, {one.feedback_id: one for one in reviews})
    return [found[one.feedback_id] for one in sorted(corrections, key=lambda one: one.feedback_id)]


@pytest.mark.parametrize("compacted", [False, True])
def test_nothing_names_an_erased_user_and_trust_is_as_before(compacted: bool) -> None:
    world = World()
    if compacted:
        Compactor(world.store, delete_before=date.max).run()
    before = World()
    Compactor(before.store).run()

    found = erase_user(world.store, "ann", dry_run=False)

    assert b"ann" not in content(world.store)
    assert b"signed bob" in content(world.store)
    assert sorted(states_of(before.store)) == sorted(states_of(world.store)) == ["agreed", "agreed", "rejected"]
    assert {"prediction": 2, "correction": 2} == dict(found.records)
    assert {"prediction": 0} | dict(erase_user(world.store, "ann", dry_run=False).records) == {"prediction": 0}


def test_a_reviewer_is_erased_and_the_decision_stays() -> None:
    world = World()
    erase_user(world.store, "eve", dry_run=False)

    assert b"eve" not in content(world.store)
    assert "rejected" in states_of(world.store)


@pytest.mark.parametrize("name", [PHOTO, product_key(ProductContent(designation="LIVRE", image_sha256=PHOTO))])
def test_an_erased_product_is_deleted_and_its_correction_is_counted(name: str) -> None:
    world = World()
    found = erase_product(world.store, name, dry_run=False)

    assert b"Livre" not in content(world.store)
    assert b"Lampe" in content(world.store)
    assert {"prediction": 1, "correction": 1} == dict(found.records)
    assert {world.corrections[2].feedback_id} == found.feedback_ids
    assert 3 == len(states_of(world.store))
    assert (name == PHOTO) != world.store.exists(image_key(PHOTO))
    with pytest.raises(ObjectNotFound):
        read_prediction(world.store, world.book.prediction_id)


@pytest.mark.parametrize("subject", ["user", "product"])
def test_a_dry_run_lists_the_same_and_changes_nothing(subject: str) -> None:
    world = World()
    Compactor(world.store).run()
    before = {key: world.store.get(key) for key in world.store.list()}

    def erase(dry_run: bool) -> tuple[object, ...]:
        erase = erase_user if subject == "user" else erase_product
        found = erase(world.store, "ann" if subject == "user" else PHOTO, dry_run=dry_run)
        return found.records, found.parts, found.objects, found.photos, found.feedback_ids

    listed = erase(True)
    assert before == {key: world.store.get(key) for key in world.store.list()}
    assert listed == erase(False)


def test_an_interrupted_erasure_is_completed_by_the_next_one() -> None:
    """The store fails at each write in turn."""
    for step in range(1, 12):
        world = World()
        Compactor(world.store).run()
        puts = 0
        put = world.store.put

        def failing(
            key: str, data: bytes, *, only_if_absent: bool = False, step: int = step, put: object = put
        ) -> None:
            nonlocal puts
            puts += 1
            if puts == step:
                raise StoreUnavailable("away")
            put(key, data, only_if_absent=only_if_absent)  # type: ignore[operator]

        world.store.put = failing  # type: ignore[method-assign]
        try:
            erase_user(world.store, "ann", dry_run=False)
        except StoreUnavailable:
            erase_user(world.store, "ann", dry_run=False)
        assert b"ann" not in content(world.store)


def test_the_queue_does_not_name_an_erased_user() -> None:
    world = World()
    lease = QueueLease(item_id=world.lamp.prediction_id, number=1, user="ann", created=DAY, expires=DAY)
    other = lease.model_copy(update={"number": 2, "user": "bob"})
    for one in (lease, other):
        world.store.put(one.key, one.to_json())
    for user in ("ann", "bob"):
        world.store.put(skip_key(user, world.book.prediction_id), b"{}")

    found = erase_user(world.store, "ann", dry_run=False)

    assert b"ann" not in content(world.store)
    assert {lease.key, skip_key("ann", world.book.prediction_id)} <= set(found.objects)
    assert other.to_json() == world.store.get(other.key)
    assert [skip_key("bob", world.book.prediction_id)] == list(world.store.list("queue/skips/"))


def test_old_predictions_expire_with_photos_that_no_correction_has() -> None:
    world = World()
    old = prediction("cid", "Vase", "cd" * 32)
    world.store.put(old.key, old.to_json())
    world.store.put(image_key("cd" * 32), b"photo")

    found = expire_predictions(world.store, date(2026, 3, 2))

    assert {"prediction": 2} == dict(found.records)
    assert [image_key("cd" * 32)] == found.photos
    assert world.book == read_prediction(world.store, world.book.prediction_id)
    assert 3 == len(states_of(world.store))


@pytest.mark.parametrize("name", ["", "erased-0123"])
def test_what_is_no_user_is_refused(name: str) -> None:
    with pytest.raises(InvalidInput, match="--user"):
        erase_user(FakeStore(), name, dry_run=True)
