"""Accounts, products and a clock for simulations."""

import asyncio
import selectors
from collections.abc import Coroutine
from typing import Any, TypeVar

from inference.simulation.gateway_client import UserAccount
from inference.simulation.unseen import UnseenProduct
from product_classifier.catalogue.challenge import CHALLENGE

T = TypeVar("T")
ANN, BOB = UserAccount("ann", "user", "p"), UserAccount("bob", "user", "p")
RITA, ADA = UserAccount("rita", "reviewer", "p"), UserAccount("ada", "admin", "p")


def make_product(number: int, code: str = CHALLENGE.codes[0], **changes: Any) -> UnseenProduct:
    values = {"description": "", "photo": "", "image_sha256": "", "half": "a", **changes}
    return UnseenProduct(product_id=number, designation=f"Chemise {number}", code=code, **values)


class SimulatedClock:
    """Runs coroutines on a clock that jumps to the next timeout, so that every time is exact."""

    def __init__(self) -> None:
        self.now = 0.0

    def run(self, work: Coroutine[Any, Any, T]) -> T:
        loop = asyncio.SelectorEventLoop(_JumpingSelector(self))
        loop.time = lambda: self.now  # type: ignore[method-assign]
        with asyncio.Runner(loop_factory=lambda: loop) as runner:
            return runner.run(work)


class _JumpingSelector(selectors.DefaultSelector):
    def __init__(self, clock: SimulatedClock) -> None:
        super().__init__()
        self._clock = clock

    def select(self, timeout: float | None = None) -> Any:
        self._clock.now += timeout or 0.0
        return super().select(0)
