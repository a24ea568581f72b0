"""Corrections of the simulation, taken by the real feedback service and judged by the real rules."""

import asyncio
from collections.abc import Callable, Iterator
from random import Random
from typing import Any

import pytest

from inference.simulation import corrections as module
from inference.simulation.corrections import Corrections
from inference.simulation.crowd import Crowd
from inference.simulation.gateway import GatewayRefused, Person, Reply
from inference.simulation.unseen import Product
from product_classifier.feedback.index import FeedbackIndex
from product_classifier.feedback.trust import Label
from tests.inference.simulation.conftest import ANN, BOB, RITA, a_product
from tests.support.fakes import FakeStore
from tests.support.feedback_service_harness import RIGHT, WRONG, FeedbackHarness, store_prediction

EVERYBODY = Crowd((ANN, BOB), RITA)
PRODUCTS = [a_product(number, RIGHT) for number in range(40)]


class Door:
    """The gateway's part: says who asks, then lets the feedback service answer."""

    def __init__(self, harness: FeedbackHarness) -> None:
        self.harness = harness
        self.asked: list[tuple[str, str]] = []
        self.when_asked: Callable[[], None] = lambda: None

    async def insist(self, person: Person, method: str, path: str, body: object = None, headers: Any = None) -> Any:
        self.asked.append((person.name, path.rpartition("/")[2]))
        given = self.harness.headers(person.name, person.role) | (headers or {})
        reply = self.harness.client.request(method, path, json=body, headers=given)
        self.when_asked()
        if reply.status_code >= 300:
            raise GatewayRefused(f"{method} {path}", Reply(reply.status_code, reply.json(), None))
        return reply.json()


@pytest.fixture
def door() -> Iterator[Door]:
    with FeedbackHarness(FakeStore(), None) as harness:
        yield Door(harness)


def corrected(
    door: Door, products: list[Product], *, crowd: Crowd = EVERYBODY, share: float = 1.0, answer: int = WRONG
) -> Corrections:
    """Answer every product with one code and let people consider it."""
    corrections = Corrections(door, crowd, share=share, seed=5, run="r1")  # type: ignore[arg-type]
    store = door.harness.store

    async def all_of_them() -> None:
        for product in products:
            await corrections.consider(product, store_prediction(store, product.designation), answer)

    asyncio.run(all_of_them())
    return corrections


def labels(door: Door) -> tuple[Label, ...]:
    book = FeedbackIndex(door.harness.store)
    book.refresh()
    return book.labels()


@pytest.mark.parametrize(
    ("crowd", "reasons"),
    [
        pytest.param(EVERYBODY, {"agreed", "approved"}, id="two users and a reviewer"),
        pytest.param(Crowd((ANN, BOB), None), {"agreed"}, id="two users"),
        pytest.param(Crowd((ANN,), RITA), {"approved"}, id="a user and a reviewer"),
    ],
)
def test_every_correction_counts_by_the_rules_of_the_retraining(door: Door, crowd: Crowd, reasons: set[str]) -> None:
    sent = corrected(door, PRODUCTS, crowd=crowd).sent
    found = labels(door)

    assert {product.designation for product in PRODUCTS} == {label.product.designation for label in found}
    assert {RIGHT} == {label.code for label in found}
    assert reasons == {label.reason for label in found}
    assert {label.product_key for label in found} == sent.products


def test_what_was_acknowledged_is_counted_as_what_it_is(door: Door) -> None:
    sent = corrected(door, PRODUCTS).sent
    given = [what for _, what in door.asked]

    assert len(PRODUCTS) == sent.wanted
    assert given.count("feedback") == sent.corrections
    assert given.count("approve") == sent.approvals
    assert 2 * len(PRODUCTS) == sent.corrections + sent.approvals


def test_a_right_answer_is_left_alone(door: Door) -> None:
    assert 0 == corrected(door, PRODUCTS, answer=RIGHT).sent.wanted
    assert [] == door.asked


def test_a_product_that_comes_again_is_not_corrected_again(door: Door) -> None:
    assert 1 == corrected(door, [PRODUCTS[0]] * 3).sent.wanted


def test_a_share_is_corrected_and_the_order_does_not_matter(door: Door) -> None:
    shuffled = Random(1).sample(PRODUCTS, len(PRODUCTS))

    some = corrected(door, PRODUCTS, share=0.5).sent.products
    assert some == corrected(door, shuffled, share=0.5).sent.products
    assert 10 <= len(some) <= 30


def test_nobody_minds_anything_at_a_share_of_0(door: Door) -> None:
    assert 0 == corrected(door, PRODUCTS, share=0.0).sent.wanted


def test_a_prediction_whose_record_is_on_its_way_is_waited_for(door: Door, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(module, "NOT_YET_S", (0.01, 0.01))
    store = door.harness.store
    assert isinstance(store, FakeStore)
    corrections = Corrections(door, EVERYBODY, share=1, seed=5, run="r1")  # type: ignore[arg-type]
    identifier = store_prediction(store, PRODUCTS[0].designation)
    [(key, record)] = [(key, data) for key, data in store.objects.items() if identifier in key]
    store.delete(key)

    door.when_asked = lambda: store.put(key, record)  # while the first attempt is being refused
    asyncio.run(corrections.consider(PRODUCTS[0], identifier, WRONG))

    assert 1 == len(corrections.sent.products)


def test_a_correction_that_is_refused_is_reported_and_does_not_count(
    door: Door, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(module, "NOT_YET_S", (0.01,))
    corrections = Corrections(door, EVERYBODY, share=1, seed=5, run="r1")  # type: ignore[arg-type]
    nobodys = "0190a7f0-0000-7000-8000-000000000000"
    asyncio.run(corrections.consider(PRODUCTS[0], nobodys, WRONG))

    assert (1, 0, set()) == (corrections.sent.wanted, corrections.sent.corrections, corrections.sent.products)
    [(reason, count)] = corrections.sent.refused.items()
    assert (1, True) == (count, "answers 404: no prediction has the id" in reason)
