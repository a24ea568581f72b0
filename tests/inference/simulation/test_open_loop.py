"""Requests are sent at planned times, and latency is measured from them."""

import asyncio
from collections.abc import Sequence

import pytest
from scipy.stats import expon, kstest

from inference.simulation.gateway_client import GatewayUnreachable
from inference.simulation.open_loop import (
    OpenLoopReplay,
    Predict,
    RequestFailed,
    RequestOutcome,
    SimulatedPrediction,
    poisson_arrivals,
)
from inference.simulation.unseen import UnseenProduct
from product_classifier.catalogue.challenge import CHALLENGE
from tests.inference.simulation.conftest import SimulatedClock, make_product

PREDICTION = SimulatedPrediction(CHALLENGE.codes[0])


def test_arrivals_are_a_poisson_process_of_the_rate() -> None:
    at = poisson_arrivals(rate=20, count=4000, seed=3)
    gaps = [after - before for before, after in zip([0.0, *at], at, strict=False)]

    assert kstest(gaps, expon(scale=1 / 20).cdf).pvalue > 0.05
    assert at == sorted(at)


def test_the_same_seed_gives_the_same_arrivals_and_another_gives_others() -> None:
    assert poisson_arrivals(5, 50, seed=1) == poisson_arrivals(5, 50, seed=1)
    assert poisson_arrivals(5, 50, seed=1) != poisson_arrivals(5, 50, seed=2)
    assert poisson_arrivals(5, 30, seed=1) == poisson_arrivals(5, 50, seed=1)[:30]


def replayed(
    clock: SimulatedClock, predict: Predict, at: Sequence[float], after_s: float = 0.0
) -> tuple[list[RequestOutcome], OpenLoopReplay]:
    async def on_prediction(_product: UnseenProduct, _prediction: SimulatedPrediction) -> None:
        await asyncio.sleep(after_s)

    replay = OpenLoopReplay(predict, on_prediction, lambda _: None)
    outcomes = clock.run(replay.run([make_product(number) for number in range(len(at))], at))
    return sorted(outcomes, key=lambda one: one.planned_s), replay


def test_a_late_response_delays_no_other_request() -> None:
    async def slow(_: UnseenProduct) -> SimulatedPrediction:
        await asyncio.sleep(60)
        return PREDICTION

    outcomes, _ = replayed(SimulatedClock(), slow, [1, 2, 3, 4])

    assert [1, 2, 3, 4] == [one.sent_s for one in outcomes]
    assert [60] * 4 == [one.latency_s for one in outcomes]


def test_handling_of_predictions_delays_no_request_and_is_completed() -> None:
    clock = SimulatedClock()

    async def quick(_: UnseenProduct) -> SimulatedPrediction:
        return PREDICTION

    outcomes, _ = replayed(clock, quick, [1, 2, 3], after_s=100)

    assert [0, 0, 0] == [one.latency_s for one in outcomes]
    assert clock.now == 103


def test_latency_is_measured_from_the_planned_time_when_the_simulation_stalls() -> None:
    clock = SimulatedClock()

    async def stalls_once(product: UnseenProduct) -> SimulatedPrediction:
        if product.product_id == 0:
            clock.now += 5  # blocks the event loop
        await asyncio.sleep(0.5)
        return PREDICTION

    outcomes, _ = replayed(clock, stalls_once, [1, 2, 3, 8])

    assert [1, 6, 6, 8] == [one.sent_s for one in outcomes]
    assert [5.5, 4.5, 3.5, 0.5] == [one.latency_s for one in outcomes]


def test_a_failed_request_has_its_reason() -> None:
    async def busy(product: UnseenProduct) -> SimulatedPrediction:
        if product.product_id % 2:
            raise RequestFailed("503: too many requests at once")
        return PREDICTION

    outcomes, replay = replayed(SimulatedClock(), busy, [1, 2, 3])

    assert ["", "503: too many requests at once", ""] == [one.reason for one in outcomes]
    assert not replay.abort_reason


@pytest.mark.parametrize(
    ("away", "sent"),
    [
        pytest.param((0, 100), 20, id="from the start"),
        pytest.param((40, 100), 60, id="from the middle"),
        pytest.param((10, 25), 100, id="a short one"),
    ],
)
def test_a_long_outage_of_the_gateway_ends_the_replay_and_a_short_one_does_not(
    away: tuple[int, int], sent: int
) -> None:
    async def predict(product: UnseenProduct) -> SimulatedPrediction:
        if product.product_id in range(*away):
            raise GatewayUnreachable("http://down cannot be reached")
        return PREDICTION

    outcomes, replay = replayed(SimulatedClock(), predict, [number * 0.53 for number in range(100)])

    assert sent == len(outcomes)
    assert (sent < 100) is ("http://down" in replay.abort_reason)
