"""Simulated corrections, sent to the real feedback service and read as the retraining does."""

import asyncio
from collections.abc import Callable, Iterator
from random import Random
from typing import Any

import pytest

from inference.simulation import correction_simulator as module
from inference.simulation.correction_simulator import CorrectionSimulator
from inference.simulation.gateway_client import GatewayRefused, GatewayResponse, UserAccount
from inference.simulation.simulated_users import SimulatedUsers
from inference.simulation.unseen import UnseenProduct
from product_classifier.feedback.index import FeedbackIndex
from product_classifier.feedback.trust import Label
from tests.inference.simulation.conftest import ANN, BOB, RITA, make_product
from tests.support.fakes import FakeStore
from tests.support.feedback_service_harness import RIGHT, WRONG, FeedbackHarness, store_prediction

ALL_USERS = SimulatedUsers((ANN, BOB), RITA)
PRODUCTS = [make_product(number, RIGHT) for number in range(40)]


class DirectGateway:
    """Sends requests to the feedback service with the identity headers of the gateway."""

    def __init__(self, harness: FeedbackHarness) -> None:
        self.harness = harness
        self.requests: list[tuple[str, str]] = []
        self.after_request: Callable[[], None] = lambda: None

    async def request_with_retries(
        self, user: UserAccount, method: str, path: str, body: object = None, headers: Any = None
    ) -> Any:
        self.requests.append((user.name, path.rpartition("/")[2]))
        sent_headers = self.harness.headers(user.name, user.role) | (headers or {})
        response = self.harness.client.request(method, path, json=body, headers=sent_headers)
        self.after_request()
        if response.status_code >= 300:
            raise GatewayRefused(f"{method} {path}", GatewayResponse(response.status_code, response.json(), None))
        return response.json()


@pytest.fixture
def gateway() -> Iterator[DirectGateway]:
    with FeedbackHarness(FakeStore(), None) as harness:
        yield DirectGateway(harness)


def corrected(
    gateway: DirectGateway,
    products: list[UnseenProduct],
    *,
    users: SimulatedUsers = ALL_USERS,
    share: float = 1.0,
    predicted: int = WRONG,
) -> CorrectionSimulator:
    """Predict the same code for every product and correct the predictions."""
    simulator = CorrectionSimulator(gateway, users, share=share, seed=5, run="r1")  # type: ignore[arg-type]
    store = gateway.harness.store

    async def all_of_them() -> None:
        for product in products:
            await simulator.correct_if_wrong(product, store_prediction(store, product.designation), predicted)

    asyncio.run(all_of_them())
    return simulator


def labels(gateway: DirectGateway) -> tuple[Label, ...]:
    index = FeedbackIndex(gateway.harness.store)
    index.refresh()
    return index.labels()


@pytest.mark.parametrize(
    ("users", "reasons"),
    [
        pytest.param(ALL_USERS, {"agreed", "approved"}, id="two users and a reviewer"),
        pytest.param(SimulatedUsers((ANN, BOB), None), {"agreed"}, id="two users"),
        pytest.param(SimulatedUsers((ANN,), RITA), {"approved"}, id="a user and a reviewer"),
    ],
)
def test_every_correction_becomes_trusted_by_the_rules_of_the_retraining(
    gateway: DirectGateway, users: SimulatedUsers, reasons: set[str]
) -> None:
    counts = corrected(gateway, PRODUCTS, users=users).counts
    found = labels(gateway)

    assert {product.designation for product in PRODUCTS} == {label.product.designation for label in found}
    assert {str(RIGHT)} == {label.code for label in found}
    assert reasons == {label.reason for label in found}
    assert {label.product_key for label in found} == counts.products


def test_acknowledged_corrections_and_approvals_are_counted(gateway: DirectGateway) -> None:
    counts = corrected(gateway, PRODUCTS).counts
    actions = [action for _, action in gateway.requests]

    assert len(PRODUCTS) == counts.wrong
    assert actions.count("feedback") == counts.corrections
    assert actions.count("approve") == counts.approvals
    assert 2 * len(PRODUCTS) == counts.corrections + counts.approvals


def test_a_right_prediction_is_not_corrected(gateway: DirectGateway) -> None:
    assert 0 == corrected(gateway, PRODUCTS, predicted=RIGHT).counts.wrong
    assert [] == gateway.requests


def test_make_product_that_comes_again_is_not_corrected_again(gateway: DirectGateway) -> None:
    assert 1 == corrected(gateway, [PRODUCTS[0]] * 3).counts.wrong


def test_which_share_is_corrected_does_not_depend_on_the_order(gateway: DirectGateway) -> None:
    shuffled = Random(1).sample(PRODUCTS, len(PRODUCTS))

    some = corrected(gateway, PRODUCTS, share=0.5).counts.products
    assert some == corrected(gateway, shuffled, share=0.5).counts.products
    assert 10 <= len(some) <= 30


def test_nothing_is_corrected_at_a_share_of_0(gateway: DirectGateway) -> None:
    assert 0 == corrected(gateway, PRODUCTS, share=0.0).counts.wrong


def test_a_correction_is_repeated_until_the_prediction_record_is_stored(
    gateway: DirectGateway, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(module, "NOT_FOUND_PAUSES_S", (0.01, 0.01))
    store = gateway.harness.store
    assert isinstance(store, FakeStore)
    simulator = CorrectionSimulator(gateway, ALL_USERS, share=1, seed=5, run="r1")  # type: ignore[arg-type]
    identifier = store_prediction(store, PRODUCTS[0].designation)
    [(key, record)] = [(key, data) for key, data in store.objects.items() if identifier in key]
    store.delete(key)

    gateway.after_request = lambda: store.put(key, record)  # while the first attempt is being refused
    asyncio.run(simulator.correct_if_wrong(PRODUCTS[0], identifier, WRONG))

    assert 1 == len(simulator.counts.products)


def test_a_refused_correction_is_reported_and_not_counted(
    gateway: DirectGateway, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(module, "NOT_FOUND_PAUSES_S", (0.01,))
    simulator = CorrectionSimulator(gateway, ALL_USERS, share=1, seed=5, run="r1")  # type: ignore[arg-type]
    unknown = "0190a7f0-0000-7000-8000-000000000000"
    asyncio.run(simulator.correct_if_wrong(PRODUCTS[0], unknown, WRONG))

    assert (1, 0, set()) == (simulator.counts.wrong, simulator.counts.corrections, simulator.counts.products)
    [(reason, count)] = simulator.counts.refused.items()
    assert (1, True) == (count, "responded with 404: prediction_id: no prediction has the id" in reason)
