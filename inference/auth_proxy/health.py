"""Readiness of the gateway: whether models and store respond, and users and keys can be used."""

import asyncio
import time
from collections.abc import Callable, Mapping

from inference.auth_proxy.auth.api_keys import ApiKeyVerifier, KeysUnavailable
from inference.auth_proxy.auth.tokens import EmbeddedIssuer
from inference.auth_proxy.auth.users import UsersUnavailable
from inference.auth_proxy.predictions.backends import Backends
from inference.auth_proxy.schemas import HealthStatus, HealthView
from inference.durability.deadline import DeadlineWriter
from product_classifier.model_names import FUSION, IMAGE, MODELS, TEXT

CACHED_S = 1.0
"""How long the result of a check is reused: the route is open to everybody."""


class Readiness:
    """Checks what the gateway needs, at most once per `CACHED_S`.

    A model that was never ready counts as starting during the first `start_s` seconds of this process, and as failed
    afterwards: a gateway that is restarted while one model is broken serves with the other.
    """

    def __init__(
        self,
        backends: Backends,
        record_writer: DeadlineWriter,
        start_s: float,
        clock: Callable[[], float] = time.monotonic,
        *,
        issuer: EmbeddedIssuer | None = None,
        api_keys: ApiKeyVerifier | None = None,
    ) -> None:
        self._issuer = issuer
        self._api_keys = api_keys
        self._backends = backends
        self._record_writer = record_writer
        self._clock = clock
        self._starting_until = clock() + start_s
        self._were_ready: set[str] = set()
        self._checked = float("-inf")
        self._view = HealthView(status="starting")
        self._lock = asyncio.Lock()

    async def check(self) -> HealthView:
        """Return the state; the fusion and one other model are enough to serve, degraded."""
        async with self._lock:
            if self._clock() - self._checked > CACHED_S:
                self._view = await self._check()
                self._checked = self._clock()
        return self._view

    async def _check(self) -> HealthView:
        responses = await asyncio.gather(
            *(self._backends.ready(model) for model in MODELS), self._record_writer.store_responds()
        )
        checks = dict(zip((*MODELS, "store"), responses, strict=True))
        can_authenticate = True
        if self._issuer is not None:
            checks["keys"] = self._issuer.keys.check()
            try:
                checks["users"] = self._issuer.users.check()
            except UsersUnavailable:
                checks["users"] = can_authenticate = False
        if self._api_keys is not None:
            try:
                checks["api_keys"] = self._api_keys.store.check()
            except KeysUnavailable:
                checks["api_keys"] = False
        return HealthView(status=self._status(checks, can_authenticate=can_authenticate), checks=checks)

    def _status(self, checks: Mapping[str, bool], *, can_authenticate: bool) -> HealthStatus:
        self._were_ready.update(model for model in MODELS if checks[model])
        if len(self._were_ready) < len(MODELS) and self._clock() < self._starting_until:
            return "starting"
        if not can_authenticate or not checks[FUSION] or not (checks[TEXT] or checks[IMAGE]):
            return "unavailable"
        return "ready" if all(checks.values()) else "degraded"
