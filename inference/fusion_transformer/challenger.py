"""A challenger beside the champion: a canary serves a share of the products, a shadow is compared.

The content of a product decides whether the canary serves it: one product always gets the same release, and each
challenger gets other products. A request with several products is served by one release.
"""

import asyncio
import hashlib
import time
from collections.abc import Awaitable, Callable
from dataclasses import dataclass

import numpy as np

from inference.model_server.server_metrics import RELEASE_RESPONSES, SHADOW_PRODUCTS
from inference.oip.types import ModelRequest, ModelResponse
from product_classifier.observability import get_logger

Predict = Callable[[], Awaitable[ModelResponse]]
log = get_logger()


@dataclass(frozen=True)
class Canary:
    """The release that serves a share of the products."""

    release: str = ""
    share: float = 0.0

    def serves(self, request: ModelRequest) -> bool:
        """Return whether this request belongs to the canary's share."""
        return bool(self.release) and _position(request, self.release) < self.share


class Shadow:
    """Compares a release with the champion after the response, in at most `max_running` tasks at once."""

    def __init__(self, release: str, max_running: int) -> None:
        self.release = release
        self._max_running = max_running
        self._running: set[asyncio.Task[None]] = set()

    def compare(self, response: ModelResponse, predict: Predict) -> None:
        """Compare the categories that `predict` returns with those of a response, in a background task."""
        if not self.release:
            return
        if len(self._running) >= self._max_running:
            RELEASE_RESPONSES.observe(0.0, self.release, "shadow", "left_out")
            return
        task = asyncio.create_task(self._compare(response, predict))
        self._running.add(task)
        task.add_done_callback(self._running.discard)

    async def close(self) -> None:
        """Cancel the comparisons in progress."""
        for task in self._running:
            task.cancel()
        await asyncio.gather(*self._running, return_exceptions=True)

    async def _compare(self, response: ModelResponse, predict: Predict) -> None:
        other = await complete_or_none(predict, self.release, "shadow")
        if other is None:
            return
        same = int(np.count_nonzero(other.outputs["code"] == response.outputs["code"]))
        SHADOW_PRODUCTS.labels(self.release, "same").inc(same)
        SHADOW_PRODUCTS.labels(self.release, "other").inc(len(other.outputs["code"]) - same)


async def counted(predict: Predict, release: str, role: str) -> ModelResponse:
    """Predict, and count the outcome for the release in its role."""
    start, outcome = time.perf_counter(), "failed"
    try:
        response = await predict()
        release, outcome = response.release, "degraded" if response.parameters.get("degraded") else "ok"
    finally:
        RELEASE_RESPONSES.observe(time.perf_counter() - start, release, role, outcome)
    return response


async def complete_or_none(predict: Predict, release: str, role: str) -> ModelResponse | None:
    """Return a challenger's response; None if it fails or is degraded."""
    try:
        response = await counted(predict, release, role)
    except Exception as error:  # noqa: BLE001 - the champion serves the request, and reports an error in the request
        log.warning("challenger_failed", release=release, role=role, reason=f"{type(error).__name__}: {error}")
        return None
    return None if response.parameters.get("degraded") else response


def _position(request: ModelRequest, salt: str) -> float:
    """Return a uniform number in [0, 1) from the content of the products and the salt."""
    digest = hashlib.blake2b(salt.encode(), digest_size=8)
    for name, column in sorted(request.columns.items()):
        for value in column:
            content = value.encode() if isinstance(value, str) else value
            digest.update(b"%s %d " % (name.encode(), len(content)) + content)
    return int.from_bytes(digest.digest()) / 2**64
