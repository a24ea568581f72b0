"""AdaptiveBatcher batches requests that arrive while a batch runs, and returns each its rows."""

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


class LengthModel:
    """A model that predicts the length of each title once it is released, and records its calls."""

    def __init__(self) -> None:
        self.calls: list[list[str]] = []
        self.release = threading.Event()
        self.started = threading.Event()

    def probabilities(self, titles: Sequence[str], bodies: Sequence[str]) -> Any:
        assert len(titles) == len(bodies)
        self.calls.append(list(titles))
        self.started.set()
        assert self.release.wait(20)
        if "bad" in titles:
            raise ValueError("bad")
        return np.array([[len(title)] for title in titles], np.float32)


class Batching:
    """A batcher with a model, and requests to it."""

    def __init__(self, max_waiting: int = 64, max_wait_s: float = 60.0) -> None:
        self.model = LengthModel()
        self.workers = WorkerPool(2, 64)
        self.batcher = AdaptiveBatcher(self.workers, max_waiting, max_wait_s)

    def send(self, *titles: str, model: LengthModel | None = None) -> "asyncio.Task[Any]":
        target = cast(TextModel, model or self.model)
        return asyncio.create_task(self.batcher.predict(target, titles, [""] * len(titles)))

    async def occupy(self) -> "asyncio.Task[Any]":
        """Start a call of the model, so that every later request waits."""
        first = self.send("first")
        await asyncio.to_thread(self.model.started.wait, 20)
        return first


async def test_requests_that_arrive_while_a_batch_runs_form_the_next_batch() -> None:
    batching = Batching()
    first = await batching.occupy()
    others = [batching.send("a"), batching.send("bb", "ccc"), batching.send("dddd")]
    await asyncio.sleep(0.01)
    batching.model.release.set()

    results = [(await task).ravel().tolist() for task in [first, *others]]

    assert [["first"], ["a", "bb", "ccc", "dddd"]] == batching.model.calls
    assert [[5], [1], [2, 3], [4]] == results


async def test_a_batch_has_a_limited_number_of_rows() -> None:
    batching = Batching()
    first = await batching.occupy()
    others = [batching.send("a", "b", "c") for _ in range(30)]
    await asyncio.sleep(0.01)
    batching.model.release.set()

    await asyncio.gather(first, *others)

    assert max(map(len, batching.model.calls)) <= MAX_BATCH_ROWS
    assert sum(map(len, batching.model.calls)) == 1 + 90


async def test_a_batch_has_requests_of_one_model_only() -> None:
    batching, other = Batching(), LengthModel()
    other.release.set()
    first = await batching.occupy()
    others = [batching.send("a"), batching.send("b", model=other), batching.send("c")]
    await asyncio.sleep(0.01)
    batching.model.release.set()

    await asyncio.gather(first, *others)

    assert [["b"]] == other.calls
    assert [["first"], ["a"], ["c"]] == batching.model.calls


async def test_a_request_is_refused_at_once_when_the_queue_is_full() -> None:
    batching = Batching(max_waiting=2)
    first = await batching.occupy()
    others = [batching.send("a"), batching.send("b")]
    await asyncio.sleep(0.01)

    with pytest.raises(Overloaded, match="2 requests are waiting"):
        await batching.send("c")

    batching.model.release.set()
    await asyncio.gather(first, *others)


async def test_a_request_that_waited_too_long_is_refused_without_a_prediction() -> None:
    batching = Batching(max_wait_s=0.05)
    first = await batching.occupy()
    late = batching.send("late")
    await asyncio.sleep(0.2)
    batching.model.release.set()
    await first

    with pytest.raises(Overloaded, match="no thread was free"):
        await late
    assert [["first"]] == batching.model.calls


async def test_a_cancelled_request_is_not_predicted() -> None:
    batching = Batching()
    first = await batching.occupy()
    cancelled, other = batching.send("cancelled"), batching.send("other")
    await asyncio.sleep(0.01)
    cancelled.cancel()
    await asyncio.sleep(0.01)
    batching.model.release.set()

    await asyncio.gather(first, other)

    assert [["first"], ["other"]] == batching.model.calls


async def test_an_error_fails_the_request_that_causes_it_and_no_other_of_its_batch() -> None:
    batching = Batching()
    first = await batching.occupy()
    others = [batching.send("a"), batching.send("bad"), batching.send("bb", "ccc"), batching.send("x", "bad")]
    await asyncio.sleep(0.01)
    batching.model.release.set()

    results = await asyncio.gather(first, *others, return_exceptions=True)
    after = await batching.send("after")

    assert [np.ndarray, ValueError, np.ndarray, ValueError] == [type(result) for result in results[1:]]
    assert [[[1.0]], [[2.0], [3.0]]] == [results[1].tolist(), results[3].tolist()]
    assert [[5.0]] == after.tolist()
    assert len(batching.model.calls) == 2 + 4 + 1
