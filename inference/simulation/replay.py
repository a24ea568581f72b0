"""Ask at planned moments, whether or not earlier answers have come.

The moments are those of a Poisson process: a late answer delays nobody, as with people who do not know of each other.
Latency counts from the planned moment, so what a stalled gateway or a stalled simulation did to those who would have
come meanwhile is not left out.
"""

import asyncio
from collections.abc import Awaitable, Callable, Iterable, Sequence
from dataclasses import dataclass
from random import Random

from inference.simulation.gateway import GatewayUnreachable
from inference.simulation.unseen import Product
from product_classifier.errors import ProductClassifierError

GIVEN_UP_AFTER = 20
"""Requests in a row that reached nobody, none of them answered since `SILENT_S`."""
SILENT_S = 10.0


@dataclass(frozen=True, slots=True)
class Answer:
    """What was said of a product."""

    code: int
    confidence: float = 1.0
    degraded: bool = False
    release: str = ""
    prediction_id: str = ""


@dataclass(frozen=True, slots=True)
class Outcome:
    """One planned request and what became of it; times are seconds since the replay began."""

    product: Product
    planned_s: float
    sent_s: float
    done_s: float
    answer: Answer | None
    reason: str = ""
    """Why there is no answer."""

    @property
    def latency_s(self) -> float:
        """How long somebody waited who came at the planned moment."""
        return self.done_s - self.planned_s


class NotAnswered(ProductClassifierError):
    """A request was refused or failed; the message is a kind of reason that can be counted."""


Ask = Callable[[Product], Awaitable[Answer]]
After = Callable[[Product, Answer], Awaitable[None]]
Tell = Callable[[Outcome], None]


def moments(rate: float, count: int, seed: int) -> list[float]:
    """Return when `count` requests arrive, in seconds: a Poisson process of `rate` per second."""
    random = Random(f"{seed}/moments")  # noqa: S311 - repeatable, not secret
    now, found = 0.0, []
    for _ in range(count):
        now += random.expovariate(rate)
        found.append(now)
    return found


class Replay:
    """Asks about products; `after` is what people do about an answer, and delays nobody either."""

    def __init__(self, ask: Ask, after: After, tell: Tell) -> None:
        self._ask = ask
        self._after = after
        self._tell = tell
        self._unreachable = 0
        self._reached_s = 0.0
        self.given_up = ""
        """Why the replay ended early; empty if it did not."""

    async def run(self, products: Sequence[Product], at: Iterable[float]) -> list[Outcome]:
        """Ask about each product at its moment; return when every answer has come and everything after it is done."""
        began = asyncio.get_running_loop().time()
        outcomes: list[Outcome] = []
        async with asyncio.TaskGroup() as tasks:
            for product, planned_s in zip(products, at, strict=True):
                await asyncio.sleep(max(0.0, began + planned_s - asyncio.get_running_loop().time()))
                if self.given_up:
                    break
                tasks.create_task(self._one(product, began, planned_s, outcomes))
        return outcomes

    async def _one(self, product: Product, began: float, planned_s: float, outcomes: list[Outcome]) -> None:
        clock = asyncio.get_running_loop().time
        sent_s, answer, reason = clock() - began, None, ""
        try:
            answer = await self._ask(product)
        except ProductClassifierError as error:
            reason = str(error)
            self._count_unreachable(error, clock() - began)
        else:
            self._unreachable, self._reached_s = 0, clock() - began
        outcome = Outcome(product, planned_s, sent_s, clock() - began, answer, reason)
        outcomes.append(outcome)
        self._tell(outcome)
        if answer is not None:
            await self._after(product, answer)

    def _count_unreachable(self, error: ProductClassifierError, now_s: float) -> None:
        if not isinstance(error, GatewayUnreachable):
            self._unreachable, self._reached_s = 0, now_s
            return
        self._unreachable += 1
        if self._unreachable >= GIVEN_UP_AFTER and now_s - self._reached_s > SILENT_S:
            self.given_up = f"nothing was answered for {now_s - self._reached_s:.0f} s: {error}"
