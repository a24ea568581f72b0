"""What people do about wrong answers.

Which answers are corrected, how, and by whom follows from the seed and the product, not from the order of answers.
"""

import asyncio
from collections import Counter
from dataclasses import dataclass, field
from random import Random
from typing import Any

from inference.simulation.crowd import Crowd, Way
from inference.simulation.gateway import Gateway, GatewayRefused, Person
from inference.simulation.unseen import Product
from product_classifier.errors import ProductClassifierError
from product_classifier.feedback.records import ProductContent
from product_classifier.feedback.trust import product_key

NOT_YET_S = (0.3, 1.0, 3.0)
"""The record of a prediction may still be on its way when somebody corrects it."""
UNKNOWN = 404


@dataclass
class Sent:
    """What was handed in so far."""

    wanted: int = 0
    """Wrong answers somebody set out to correct."""
    corrections: int = 0
    """Corrections that were acknowledged; an agreement takes two."""
    approvals: int = 0
    products: set[str] = field(default_factory=set)
    """The products whose label counts now, by the key the retraining knows them by."""
    refused: Counter[str] = field(default_factory=Counter)


class Corrections:
    """Hands in corrections that count, each by one of the ways the crowd has."""

    def __init__(self, gateway: Gateway, crowd: Crowd, *, share: float, seed: int, run: str) -> None:
        self._gateway = gateway
        self._crowd = crowd
        self._share = share
        self._seed = seed
        self._run = run
        self._begun: set[int] = set()
        self.sent = Sent()

    def way(self, product: Product) -> Way | None:
        """Return how a wrong answer about a product is corrected, None when nobody minds it."""
        chance = Random(f"{self._seed}/{product.product_id}")  # noqa: S311 - repeatable, not secret
        return chance.choice(self._crowd.ways) if chance.random() < self._share else None

    async def consider(self, product: Product, prediction_id: str, answered: int) -> None:
        """Correct an answer if it is wrong and somebody minds; a product is corrected once."""
        way = self.way(product) if answered != product.code else None
        if way is None or product.product_id in self._begun:
            return
        self._begun.add(product.product_id)
        self.sent.wanted += 1
        try:
            await self._correct(way, product, prediction_id)
        except ProductClassifierError as error:
            self.sent.refused[str(error)] += 1
        else:
            self.sent.products.add(product_key(_content(product)))

    async def _correct(self, way: Way, product: Product, prediction_id: str) -> None:
        first, *others = (person for person in self._crowd.users if person.role == "user")
        acknowledged = await self._give(first, product, prediction_id)
        if way == "agreement":
            await self._give(others[0], product, prediction_id)
            return
        assert self._crowd.reviewer is not None  # noqa: S101 - else there is no such way
        path = f"/feedback/{acknowledged['feedback_id']}/approve"
        await self._gateway.insist(self._crowd.reviewer, "POST", path)
        self.sent.approvals += 1

    async def _give(self, person: Person, product: Product, prediction_id: str) -> Any:
        body = {"prediction_id": prediction_id, "code": product.code, "comment": f"simulation {self._run}"}
        key = {"Idempotency-Key": f"{self._run}:{prediction_id}"}
        for pause_s in (*NOT_YET_S, 0.0):
            try:
                taken = await self._gateway.insist(person, "POST", "/feedback", body, key)
            except GatewayRefused as error:
                if error.status != UNKNOWN or not pause_s:
                    raise
                await asyncio.sleep(pause_s)
            else:
                self.sent.corrections += 1
                return taken
        raise AssertionError("the last attempt returns or raises")


def _content(product: Product) -> ProductContent:
    """Return the product as the gateway recorded it."""
    return ProductContent(
        designation=product.designation, description=product.description, image_sha256=product.image_sha256 or None
    )
