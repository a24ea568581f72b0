"""A challenger beside the champion: it answers for a share of the products (canary), or is only compared (shadow).

Which products a canary answers is decided by their content, so the same product is answered by the same release every
time, and by other products with the next challenger. Several products in one request are one answer of one release.
"""

import asyncio
import hashlib
import time
from collections.abc import Awaitable, Callable
from dataclasses import dataclass

import numpy as np

from inference.model_server.server_metrics import FUSION_ANSWERS, SHADOW_ROWS, fused
from inference.oip.types import InferenceRequest, InferenceResponse
from product_classifier.observability import get_logger

Ask = Callable[[], Awaitable[InferenceResponse]]
log = get_logger()


@dataclass(frozen=True)
class Canary:
    """The release that answers for a share of the products."""

    release: str = ""
    share: float = 0.0

    def takes(self, request: InferenceRequest) -> bool:
        """Tell whether this request is among the share."""
        return bool(self.release) and _place(request, self.release) < self.share


class Shadow:
    """Asks a release about products that were answered, off their path; when it is behind, it leaves some out."""

    def __init__(self, release: str, most: int) -> None:
        self.release = release
        self._most = most
        self._running: set[asyncio.Task[None]] = set()

    def follow(self, answer: InferenceResponse, ask: Ask) -> None:
        """Compare what `ask` gives with the answer, in a while."""
        if not self.release:
            return
        if len(self._running) >= self._most:
            FUSION_ANSWERS.labels(self.release, "shadow", "left_out").inc()
            return
        task = asyncio.create_task(self._compare(answer, ask))
        self._running.add(task)
        task.add_done_callback(self._running.discard)

    async def close(self) -> None:
        """Give up what is under way."""
        for task in self._running:
            task.cancel()
        await asyncio.gather(*self._running, return_exceptions=True)

    async def _compare(self, answer: InferenceResponse, ask: Ask) -> None:
        other = await attempt(ask, self.release, "shadow")
        if other is None:
            return
        same = int(np.count_nonzero(other.outputs["code"] == answer.outputs["code"]))
        SHADOW_ROWS.labels(self.release, "same").inc(same)
        SHADOW_ROWS.labels(self.release, "other").inc(len(other.outputs["code"]) - same)


async def measured(ask: Ask, release: str, role: str) -> InferenceResponse:
    """InferenceResponse, and count the answer or its failure for a release in a role."""
    start, outcome = time.perf_counter(), "failed"
    try:
        answer = await ask()
        release, outcome = answer.release, "degraded" if answer.parameters.get("degraded") else "ok"
    finally:
        fused(release, role, outcome, time.perf_counter() - start)
    return answer


async def attempt(ask: Ask, release: str, role: str) -> InferenceResponse | None:
    """Return the whole answer of a challenger; None when it gives none, whatever the reason."""
    try:
        answer = await measured(ask, release, role)
    except Exception as error:  # noqa: BLE001 - the champion answers, and says what is wrong if it is the request
        log.warning("challenger_failed", release=release, role=role, reason=f"{type(error).__name__}: {error}")
        return None
    return None if answer.parameters.get("degraded") else answer


def _place(request: InferenceRequest, salt: str) -> float:
    """Return where in [0, 1) the products of a request lie, by their content."""
    digest = hashlib.blake2b(salt.encode(), digest_size=8)
    for name, column in sorted(request.columns.items()):
        for value in column:
            content = value.encode() if isinstance(value, str) else value
            digest.update(b"%s %d " % (name.encode(), len(content)) + content)
    return int.from_bytes(digest.digest()) / 2**64
