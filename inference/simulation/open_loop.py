"""Open-loop load: requests are sent at planned times, whether or not earlier responses have arrived.

Arrivals are a Poisson process. Latency is measured from the planned time, so that a stalled gateway or a stalled
simulation does not hide the delay of the requests planned meanwhile (coordinated omission).
"""

import asyncio
from collections.abc import Awaitable, Callable, Iterable, Sequence
from dataclasses import dataclass
from random import Random

from inference.simulation.gateway_client import GatewayUnreachable
from inference.simulation.unseen import UnseenProduct
from product_classifier.errors import ProductClassifierError

MAX_UNREACHABLE = 20
"""Consecutive requests that may fail to reach the gateway before the replay aborts, see `MAX_SILENCE_S`."""
MAX_SILENCE_S = 10.0
"""Time without any response, in seconds, before the replay aborts."""


@dataclass(frozen=True, slots=True)
class SimulatedPrediction:
    """The prediction of a product."""

    code: str
    confidence: float = 1.0
    degraded: bool = False
    release: str = ""
    prediction_id: str = ""


@dataclass(frozen=True, slots=True)
class RequestOutcome:
    """A planned request and its result; times are seconds since the start of the replay."""

    product: UnseenProduct
    planned_s: float
    sent_s: float
    done_s: float
    prediction: SimulatedPrediction | None
    reason: str = ""
    """Why there is no prediction."""

    @property
    def latency_s(self) -> float:
        """Time in seconds from the planned time to the response."""
        return self.done_s - self.planned_s


class RequestFailed(ProductClassifierError):
    """A request was refused or failed; equal causes have equal messages, so that they can be counted."""


Predict = Callable[[UnseenProduct], Awaitable[SimulatedPrediction]]
OnPrediction = Callable[[UnseenProduct, SimulatedPrediction], Awaitable[None]]
OnOutcome = Callable[[RequestOutcome], None]


def poisson_arrivals(rate: float, count: int, seed: int) -> list[float]:
    """Return `count` arrival times in seconds of a Poisson process with `rate` arrivals per second."""
    random = Random(f"{seed}/moments")  # noqa: S311 - repeatable, not secret
    now, arrivals = 0.0, []
    for _ in range(count):
        now += random.expovariate(rate)
        arrivals.append(now)
    return arrivals


class OpenLoopReplay:
    """Sends planned requests; `on_prediction` handles each prediction concurrently with later requests."""

    def __init__(self, predict: Predict, on_prediction: OnPrediction, on_outcome: OnOutcome) -> None:
        self._predict = predict
        self._on_prediction = on_prediction
        self._on_outcome = on_outcome
        self._unreachable = 0
        self._last_response_s = 0.0
        self.abort_reason = ""
        """Why the replay ended early; empty if it did not."""

    async def run(self, products: Sequence[UnseenProduct], arrivals: Iterable[float]) -> list[RequestOutcome]:
        """Send a request for each product at its arrival time; return after all are handled."""
        began = asyncio.get_running_loop().time()
        outcomes: list[RequestOutcome] = []
        async with asyncio.TaskGroup() as tasks:
            for product, planned_s in zip(products, arrivals, strict=True):
                await asyncio.sleep(max(0.0, began + planned_s - asyncio.get_running_loop().time()))
                if self.abort_reason:
                    break
                tasks.create_task(self._send(product, began, planned_s, outcomes))
        return outcomes

    async def _send(
        self, product: UnseenProduct, began: float, planned_s: float, outcomes: list[RequestOutcome]
    ) -> None:
        clock = asyncio.get_running_loop().time
        sent_s, prediction, reason = clock() - began, None, ""
        try:
            prediction = await self._predict(product)
        except ProductClassifierError as error:
            reason = str(error)
            self._count_unreachable(error, clock() - began)
        else:
            self._unreachable, self._last_response_s = 0, clock() - began
        outcome = RequestOutcome(product, planned_s, sent_s, clock() - began, prediction, reason)
        outcomes.append(outcome)
        self._on_outcome(outcome)
        if prediction is not None:
            await self._on_prediction(product, prediction)

    def _count_unreachable(self, error: ProductClassifierError, now_s: float) -> None:
        if not isinstance(error, GatewayUnreachable):
            self._unreachable, self._last_response_s = 0, now_s
            return
        self._unreachable += 1
        silence_s = now_s - self._last_response_s
        if self._unreachable >= MAX_UNREACHABLE and silence_s > MAX_SILENCE_S:
            self.abort_reason = f"no response for {silence_s:.0f} s: {error}"
