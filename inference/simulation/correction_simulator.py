"""Simulated corrections of wrong predictions.

Which predictions are corrected, how and by whom depends on the seed and the product, not on the order of responses.
"""

import asyncio
from collections import Counter
from dataclasses import dataclass, field
from random import Random
from typing import Any

from inference.simulation.gateway_client import GatewayClient, GatewayRefused, UserAccount
from inference.simulation.simulated_users import SimulatedUsers, TrustMethod
from inference.simulation.unseen import UnseenProduct
from product_classifier.errors import ProductClassifierError
from product_classifier.feedback.records import ProductContent
from product_classifier.feedback.trust import product_key

NOT_FOUND_PAUSES_S = (0.3, 1.0, 3.0)
"""Pauses before a correction is sent again after a 404: the prediction record may not be stored yet."""
NOT_FOUND = 404


@dataclass
class CorrectionCounts:
    """What was sent and acknowledged."""

    wrong: int = 0
    """Wrong predictions that a user set out to correct."""
    corrections: int = 0
    """Acknowledged corrections; an agreement takes two."""
    approvals: int = 0
    """Acknowledged approvals."""
    products: set[str] = field(default_factory=set)
    """Products with a trusted correction, by the key that the retraining uses."""
    refused: Counter[str] = field(default_factory=Counter)
    """Errors by message."""


class CorrectionSimulator:
    """Sends corrections that become trusted, by one of the methods the users have."""

    def __init__(self, gateway: GatewayClient, users: SimulatedUsers, *, share: float, seed: int, run: str) -> None:
        self._gateway = gateway
        self._users = users
        self._share = share
        self._seed = seed
        self._run = run
        self._started: set[int | str] = set()
        self.counts = CorrectionCounts()

    def method_for(self, product: UnseenProduct) -> TrustMethod | None:
        """Return how a wrong prediction of a product is corrected; None if it is not."""
        chance = Random(f"{self._seed}/{product.product_id}")  # noqa: S311 - repeatable, not secret
        return chance.choice(self._users.trust_methods) if chance.random() < self._share else None

    async def correct_if_wrong(self, product: UnseenProduct, prediction_id: str, predicted: str) -> None:
        """Correct a wrong prediction of the chosen share; a product is corrected once."""
        method = self.method_for(product) if predicted != product.code else None
        if method is None or product.product_id in self._started:
            return
        self._started.add(product.product_id)
        self.counts.wrong += 1
        try:
            await self._correct(method, product, prediction_id)
        except ProductClassifierError as error:
            self.counts.refused[str(error)] += 1
        else:
            self.counts.products.add(product_key(_content(product)))

    async def _correct(self, method: TrustMethod, product: UnseenProduct, prediction_id: str) -> None:
        first, *others = (user for user in self._users.users if user.role == "user")
        acknowledged = await self._submit(first, product, prediction_id)
        if method == "agreement":
            await self._submit(others[0], product, prediction_id)
            return
        assert self._users.reviewer is not None  # noqa: S101 - otherwise approval is not among the methods
        path = f"/feedback/{acknowledged['feedback_id']}/approve"
        await self._gateway.request_with_retries(self._users.reviewer, "POST", path)
        self.counts.approvals += 1

    async def _submit(self, user: UserAccount, product: UnseenProduct, prediction_id: str) -> Any:
        body = {"prediction_id": prediction_id, "code": product.code, "comment": f"simulation {self._run}"}
        headers = {"Idempotency-Key": f"{self._run}:{prediction_id}"}
        for pause_s in (*NOT_FOUND_PAUSES_S, 0.0):
            try:
                receipt = await self._gateway.request_with_retries(user, "POST", "/feedback", body, headers)
            except GatewayRefused as error:
                if error.status != NOT_FOUND or not pause_s:
                    raise
                await asyncio.sleep(pause_s)
            else:
                self.counts.corrections += 1
                return receipt
        raise AssertionError("the last attempt returns or raises")


def _content(product: UnseenProduct) -> ProductContent:
    """Return the product as the gateway records it."""
    return ProductContent(
        designation=product.designation, description=product.description, image_sha256=product.image_sha256 or None
    )
