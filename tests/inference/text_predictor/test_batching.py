"""Requests that come meanwhile are answered together, each with its own rows, and nobody is forgotten."""

import asyncio
import threading
from collections.abc import Sequence
from typing import Any, cast

import numpy as np
import pytest

from inference.http.problems import Overloaded
from inference.model_server.workers import WorkerPool
from inference.text_predictor.batching import MAX_BATCH_ROWS, AdaptiveBatcher
from product_classifier.text.model import TextModel


class Counting:
    """Answers the length of every title, when it is let, and remembers what it was asked."""

    def __init__(self) -> None:
        self.calls: list[list[str]] = []
        self.let = threading.Event()
        self.begun = threading.Event()

    def probabilities(self, titles: Sequence[str], bodies: Sequence[str]) -> Any:
        assert len(titles) == len(bodies)
        self.calls.append(list(titles))
        self.begun.set()
        assert self.let.wait(20)
        if "bad" in titles:
            raise ValueError("bad")
        return np.array([[len(title)] for title in titles], np.float32)


class Desk:
    """A batcher of a counting model, and questions put to it."""

    def __init__(self, waiting: int = 64, patience_s: float = 60.0) -> None:
        self.model = Counting()
        self.workers = WorkerPool(2, 64)
        self.batcher = AdaptiveBatcher(self.workers, waiting, patience_s)

    def ask(self, *titles: str, model: Counting | None = None) -> "asyncio.Task[Any]":
        asked = cast(TextModel, model or self.model)
        return asyncio.create_task(self.batcher.ask(asked, titles, [""] * len(titles)))

    async def busy(self) -> "asyncio.Task[Any]":
        """Have the model work on something, so that all that comes has to wait."""
        first = self.ask("first")
        await asyncio.to_thread(self.model.begun.wait, 20)
        return first


async def test_those_who_come_meanwhile_are_answered_together() -> None:
    desk = Desk()
    first = await desk.busy()
    others = [desk.ask("a"), desk.ask("bb", "ccc"), desk.ask("dddd")]
    await asyncio.sleep(0.01)
    desk.model.let.set()

    answers = [(await task).ravel().tolist() for task in [first, *others]]

    assert [["first"], ["a", "bb", "ccc", "dddd"]] == desk.model.calls
    assert [[5], [1], [2, 3], [4]] == answers


async def test_one_call_is_not_endless() -> None:
    desk = Desk()
    first = await desk.busy()
    others = [desk.ask("a", "b", "c") for _ in range(30)]
    await asyncio.sleep(0.01)
    desk.model.let.set()

    await asyncio.gather(first, *others)

    assert max(map(len, desk.model.calls)) <= MAX_BATCH_ROWS
    assert sum(map(len, desk.model.calls)) == 1 + 90


async def test_two_models_are_asked_apart() -> None:
    desk, other = Desk(), Counting()
    other.let.set()
    first = await desk.busy()
    others = [desk.ask("a"), desk.ask("b", model=other), desk.ask("c")]
    await asyncio.sleep(0.01)
    desk.model.let.set()

    await asyncio.gather(first, *others)

    assert [["b"]] == other.calls
    assert [["first"], ["a"], ["c"]] == desk.model.calls


async def test_who_finds_no_place_is_told_at_once() -> None:
    desk = Desk(waiting=2)
    first = await desk.busy()
    others = [desk.ask("a"), desk.ask("b")]
    await asyncio.sleep(0.01)

    with pytest.raises(Overloaded, match="2 requests wait"):
        await desk.ask("c")

    desk.model.let.set()
    await asyncio.gather(first, *others)


async def test_who_waited_too_long_is_told_so_and_costs_nothing() -> None:
    desk = Desk(patience_s=0.05)
    first = await desk.busy()
    late = desk.ask("late")
    await asyncio.sleep(0.2)
    desk.model.let.set()
    await first

    with pytest.raises(Overloaded, match="no thread was free"):
        await late
    assert [["first"]] == desk.model.calls


async def test_nobody_works_for_a_caller_who_has_gone() -> None:
    desk = Desk()
    first = await desk.busy()
    gone, stays = desk.ask("gone"), desk.ask("stays")
    await asyncio.sleep(0.01)
    gone.cancel()
    await asyncio.sleep(0.01)
    desk.model.let.set()

    await asyncio.gather(first, stays)

    assert [["first"], ["stays"]] == desk.model.calls


async def test_a_failure_reaches_everybody_in_the_call_and_nobody_after_it() -> None:
    desk = Desk()
    first = await desk.busy()
    others = [desk.ask("a"), desk.ask("bad")]
    await asyncio.sleep(0.01)
    desk.model.let.set()

    results = await asyncio.gather(first, *others, return_exceptions=True)
    after = await desk.ask("after")

    assert [ValueError, ValueError] == [type(result) for result in results[1:]]
    assert [[5.0]] == after.tolist()
