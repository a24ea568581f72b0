"""Memory of bodies is bounded, in all and per owner, and freed whatever becomes of a request."""

from collections import Counter

import pytest
from hypothesis import given
from hypothesis import strategies as st

from inference.http.bodies import read_body
from inference.http.body_budget import BodyBudget, BodyReservation, body_budget
from inference.http.problems import BodyTooLarge, Overloaded, Problem
from product_classifier.limits import MIB, PHOTO_BODY_BYTES
from tests.inference.http.test_bodies import Body, scope


def test_one_owner_does_not_take_the_memory_of_another() -> None:
    budget = BodyBudget(100, 40)
    BodyReservation(budget, "a").add(40)

    with pytest.raises(Problem, match="your requests in progress have more than 40 bytes") as refused:
        BodyReservation(budget, "a").announce(1)
    BodyReservation(budget, "b").add(40)

    assert (429, {"Retry-After": "1"}) == (refused.value.status, refused.value.headers)
    assert 80 == budget.used


def test_bytes_over_the_memory_of_all_are_overload() -> None:
    budget = BodyBudget(100, 100)
    BodyReservation(budget, "a").add(60)

    with pytest.raises(Overloaded):
        BodyReservation(budget, "b").add(41)

    assert 60 == budget.used


async def test_a_body_that_would_be_too_many_bytes_is_refused_before_it_is_read() -> None:
    budget, body = BodyBudget(100, 100), Body(b"x" * 50)
    BodyReservation(budget, "a").add(60)

    with pytest.raises(Overloaded):
        await read_body(scope(50), body.receive, 1000, reservation=BodyReservation(budget, "b"))

    assert 0 == body.received


async def test_chunks_are_refused_when_they_become_too_many_and_freed() -> None:
    budget, body = BodyBudget(100, 100), Body(*[b"x" * 30] * 5)
    reservation = BodyReservation(budget, "a")

    with pytest.raises(Problem):
        await read_body(scope(), body.receive, 1000, reservation=reservation)
    held = budget.used
    reservation.release()
    reservation.release()

    assert (4, 90, 0) == (body.received, held, budget.used)


async def test_a_body_over_its_own_limit_is_a_413() -> None:
    with pytest.raises(BodyTooLarge):
        await read_body(scope(11), Body(b"x" * 11).receive, 10, reservation=BodyReservation(BodyBudget(5, 5), "a"))


@given(st.lists(st.tuples(st.sampled_from("abc"), st.integers(0, 60), st.booleans()), max_size=60))
def test_the_budget_is_never_exceeded_and_returns_to_zero(steps: list[tuple[str, int, bool]]) -> None:
    budget, open_requests = BodyBudget(100, 50), list[tuple[str, int, BodyReservation]]()
    for owner, size, end in steps:
        if end and open_requests:
            open_requests.pop(0)[2].release()
            continue
        reservation = BodyReservation(budget, owner)
        try:
            reservation.add(size)
        except (Problem, Overloaded):
            reservation.release()
            continue
        open_requests.append((owner, size, reservation))
        used = Counter[str]()
        for name, held, _ in open_requests:
            used[name] += held
        assert budget.used == used.total() <= 100
        assert max(used.values()) <= 50
    for _, _, reservation in open_requests:
        reservation.release()

    assert 0 == budget.used
    BodyReservation(budget, "a").add(50)


def test_every_user_may_send_one_largest_body() -> None:
    BodyReservation(body_budget(8 * MIB), "a").announce(0)
    with pytest.raises(Overloaded):
        BodyReservation(body_budget(8 * MIB), "a").announce(PHOTO_BODY_BYTES)
    BodyReservation(body_budget(16 * MIB), "a").announce(PHOTO_BODY_BYTES)
