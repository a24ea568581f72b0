"""Adaptive batching without added delay: requests that arrive while a batch runs form the next batch.

A request that arrives alone is predicted alone, at once. A designation in a batch of four costs less than
half of a designation alone (`make bench ROW=scaling`).
"""

import asyncio
import time
from collections import deque
from collections.abc import Sequence
from dataclasses import dataclass
from itertools import pairwise

import numpy as np
from numpy.typing import NDArray

from inference.http.problems import Overloaded
from inference.model_server.workers import WorkerPool
from product_classifier.text.model import TextModel

MAX_BATCH_ROWS = 64
Probabilities = NDArray[np.float32]


@dataclass(frozen=True, slots=True, eq=False)
class PendingRequest:
    """The products of one request, and the future of their probabilities."""

    model: TextModel
    designations: Sequence[str]
    descriptions: Sequence[str]
    result: "asyncio.Future[Probabilities]"
    since: float


class AdaptiveBatcher:
    """Predicts the products of several requests in one call of a model; one call at a time.

    A call that fails is repeated for each of its requests alone: no request fails because of another user's.
    """

    def __init__(self, workers: WorkerPool, max_waiting: int, max_wait_s: float) -> None:
        self._workers = workers
        self._max_waiting = max_waiting
        self._max_wait_s = max_wait_s
        self._pending: deque[PendingRequest] = deque()
        self._task: asyncio.Task[None] | None = None
        self.waited_s = 0.0
        """Seconds that requests waited for their batch, added up."""
        self.batched = 0
        """Requests that became part of a batch."""

    @property
    def waiting_count(self) -> int:
        """Number of requests that wait for the next batch."""
        return len(self._pending)

    async def predict(
        self, model: TextModel, designations: Sequence[str], descriptions: Sequence[str]
    ) -> Probabilities:
        """Return the probabilities `[n, classes]` of these products.

        Raises:
            Overloaded: If the queue is full, or this request waited too long in it.
        """
        if len(self._pending) >= self._max_waiting:
            raise Overloaded(f"{len(self._pending)} requests are waiting; retry later")
        loop = asyncio.get_running_loop()
        request = PendingRequest(model, designations, descriptions, loop.create_future(), time.monotonic())
        self._pending.append(request)
        if self._task is None:
            self._task = loop.create_task(self._run_batches())
        return await request.result

    async def _run_batches(self) -> None:
        try:
            while batch := self._next_batch():
                await self._run(batch)
        finally:
            self._task = None

    def _next_batch(self) -> list[PendingRequest]:
        """Return the oldest requests of one model that fit into a call, without canceled and expired ones."""
        batch: list[PendingRequest] = []
        rows = 0
        while self._pending:
            request = self._pending[0]
            if batch and (request.model is not batch[0].model or rows + len(request.designations) > MAX_BATCH_ROWS):
                break
            self._pending.popleft()
            if request.result.done():  # canceled: its client has disconnected
                continue
            if (waited := time.monotonic() - request.since) > self._max_wait_s:
                request.result.set_exception(Overloaded(f"no thread was free for {waited:.1f} s; retry later"))
                continue
            batch.append(request)
            self.waited_s += waited
            self.batched += 1
            rows += len(request.designations)
        return batch

    async def _run(self, batch: Sequence[PendingRequest]) -> None:
        designations = [designation for request in batch for designation in request.designations]
        descriptions = [description for request in batch for description in request.descriptions]
        try:
            probabilities = await self._workers.run(batch[0].model.probabilities, designations, descriptions)
        except Exception as error:  # noqa: BLE001 - raised in the request that causes it
            await self._run_each(batch, error)
            return
        except BaseException:
            for request in batch:
                request.result.cancel()
            raise
        self._set_results(batch, probabilities)

    async def _run_each(self, batch: Sequence[PendingRequest], error: Exception) -> None:
        """Predict the requests of a failed call one by one, so that the error is raised only in those that cause it."""
        if len(batch) == 1:
            if not batch[0].result.done():
                batch[0].result.set_exception(error)
            return
        for request in batch:
            if not request.result.done():
                await self._run([request])

    @staticmethod
    def _set_results(batch: Sequence[PendingRequest], probabilities: Probabilities) -> None:
        bounds = np.cumsum([0, *(len(request.designations) for request in batch)]).tolist()
        for request, (start, end) in zip(batch, pairwise(bounds), strict=True):
            if not request.result.done():
                request.result.set_result(probabilities[start:end])
