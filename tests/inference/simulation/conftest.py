"""People, products and a clock for simulations."""

import asyncio
import selectors
from collections.abc import Coroutine
from typing import Any, TypeVar

from inference.simulation.gateway import Person
from inference.simulation.unseen import Product
from product_classifier.taxonomy import CODES

T = TypeVar("T")
ANN, BOB = Person("ann", "user", "p"), Person("bob", "user", "p")
RITA, ADA = Person("rita", "reviewer", "p"), Person("ada", "admin", "p")


def a_product(number: int, code: int = CODES[0], **changes: Any) -> Product:
    given = {"description": "", "photo": "", "image_sha256": "", "half": "a", **changes}
    return Product(product_id=number, designation=f"Chemise {number}", code=code, **given)


class Timeline:
    """Runs coroutines on a clock that jumps to whatever is waited for, so every time is exact."""

    def __init__(self) -> None:
        self.now = 0.0

    def run(self, work: Coroutine[Any, Any, T]) -> T:
        loop = asyncio.SelectorEventLoop(_Jumping(self))
        loop.time = lambda: self.now  # type: ignore[method-assign]
        with asyncio.Runner(loop_factory=lambda: loop) as runner:
            return runner.run(work)


class _Jumping(selectors.DefaultSelector):
    def __init__(self, timeline: Timeline) -> None:
        super().__init__()
        self._timeline = timeline

    def select(self, timeout: float | None = None) -> Any:
        self._timeline.now += timeout or 0.0
        return super().select(0)
