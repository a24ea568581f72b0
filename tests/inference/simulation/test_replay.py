"""Requests leave at planned moments and are counted from there."""

import asyncio
from collections.abc import Sequence

import pytest
from scipy.stats import expon, kstest

from inference.simulation.gateway import GatewayUnreachable
from inference.simulation.replay import Answer, Ask, NotAnswered, Outcome, Replay, moments
from inference.simulation.unseen import Product
from product_classifier.taxonomy import CODES
from tests.inference.simulation.conftest import Timeline, a_product

YES = Answer(CODES[0])


def test_arrivals_are_a_poisson_process_of_the_rate() -> None:
    at = moments(rate=20, count=4000, seed=3)
    gaps = [after - before for before, after in zip([0.0, *at], at, strict=False)]

    assert kstest(gaps, expon(scale=1 / 20).cdf).pvalue > 0.05
    assert at == sorted(at)


def test_the_same_seed_gives_the_same_moments_and_another_gives_others() -> None:
    assert moments(5, 50, seed=1) == moments(5, 50, seed=1)
    assert moments(5, 50, seed=1) != moments(5, 50, seed=2)
    assert moments(5, 30, seed=1) == moments(5, 50, seed=1)[:30]


def replayed(timeline: Timeline, ask: Ask, at: Sequence[float], after_s: float = 0.0) -> tuple[list[Outcome], Replay]:
    async def after(_product: Product, _answer: Answer) -> None:
        await asyncio.sleep(after_s)

    replay = Replay(ask, after, lambda _: None)
    outcomes = timeline.run(replay.run([a_product(number) for number in range(len(at))], at))
    return sorted(outcomes, key=lambda one: one.planned_s), replay


def test_a_late_answer_delays_nobody() -> None:
    async def slow(_: Product) -> Answer:
        await asyncio.sleep(60)
        return YES

    outcomes, _ = replayed(Timeline(), slow, [1, 2, 3, 4])

    assert [1, 2, 3, 4] == [one.sent_s for one in outcomes]
    assert [60] * 4 == [one.latency_s for one in outcomes]


def test_what_people_do_about_an_answer_delays_nobody_and_is_finished() -> None:
    timeline = Timeline()

    async def quick(_: Product) -> Answer:
        return YES

    outcomes, _ = replayed(timeline, quick, [1, 2, 3], after_s=100)

    assert [0, 0, 0] == [one.latency_s for one in outcomes]
    assert timeline.now == 103


def test_latency_counts_from_the_planned_moment_when_the_simulation_itself_was_stalled() -> None:
    timeline = Timeline()

    async def stalls_once(product: Product) -> Answer:
        if product.product_id == 0:
            timeline.now += 5  # nothing else could run meanwhile
        await asyncio.sleep(0.5)
        return YES

    outcomes, _ = replayed(timeline, stalls_once, [1, 2, 3, 8])

    assert [1, 6, 6, 8] == [one.sent_s for one in outcomes]
    assert [5.5, 4.5, 3.5, 0.5] == [one.latency_s for one in outcomes]


def test_what_is_refused_is_counted_with_its_reason() -> None:
    async def busy(product: Product) -> Answer:
        if product.product_id % 2:
            raise NotAnswered("503: too many requests at once")
        return YES

    outcomes, replay = replayed(Timeline(), busy, [1, 2, 3])

    assert ["", "503: too many requests at once", ""] == [one.reason for one in outcomes]
    assert not replay.given_up


@pytest.mark.parametrize(
    ("away", "asked"),
    [
        pytest.param((0, 100), 20, id="from the beginning"),
        pytest.param((40, 100), 60, id="from the middle"),
        pytest.param((10, 25), 100, id="shorter than that"),
    ],
)
def test_a_gateway_that_stays_away_ends_the_replay_and_one_that_returns_does_not(
    away: tuple[int, int], asked: int
) -> None:
    async def ask(product: Product) -> Answer:
        if product.product_id in range(*away):
            raise GatewayUnreachable("http://gone cannot be reached")
        return YES

    outcomes, replay = replayed(Timeline(), ask, [number * 0.53 for number in range(100)])

    assert asked == len(outcomes)
    assert (asked < 100) is ("http://gone" in replay.given_up)
