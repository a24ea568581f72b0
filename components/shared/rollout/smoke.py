"""Ask the servers about known products, as anybody would, and compare with what the release itself answers."""

from collections.abc import Sequence
from dataclasses import dataclass, field
from time import monotonic, perf_counter, sleep
from urllib.error import URLError
from urllib.request import Request, urlopen

import numpy as np
from numpy.typing import NDArray

from components.shared.serving_check import KnownProduct, ReleaseModels
from inference.oip.client import HEADER_LENGTH, InvalidResponse, decode_response, encode_request
from product_classifier.errors import ProductClassifierError
from product_classifier.evaluation.gate import GateLimits, exceeds_latency_limit

MODEL = "fusion-transformer"
TIMEOUT_S = 10.0
ROUNDS = 3
"""How often in a row every product must be answered well: behind one address there may be several servers."""
LOOK_EVERY_S = 0.25
TOLERANCE = 0.02
"""How far a probability may be from the one computed here, on another processor."""


class SmokeFailed(ProductClassifierError):
    """The servers do not answer with a release as they should; the message says what they do instead."""


@dataclass(frozen=True, slots=True)
class Reply:
    """One answer of the fusion."""

    release: str
    degraded: bool
    probabilities: NDArray[np.float64]
    took_s: float


@dataclass(frozen=True)
class Smoke:
    """The servers behind `service`, the base URL of the fusion."""

    service: str
    limits: GateLimits = field(default_factory=GateLimits)
    deadline_s: float = 180.0

    def ms_per_product(self, products: Sequence[KnownProduct]) -> float | None:
        """Time the release in service; None when nothing answers."""
        try:
            return min(_ms([self._ask(product) for product in products]) for _ in range(ROUNDS))
        except SmokeFailed:
            return None

    def try_out(self, release: str, models: ReleaseModels, before_ms: float | None) -> None:
        """Return when the servers answer with `release` as its models do here, and as fast as the one before it.

        Servers take a while to switch, so an older release, an incomplete answer or none is waited for; a wrong or
        slow answer of the release itself is not.

        Raises:
            SmokeFailed: Saying what was wrong at last.
        """
        products, expected = models.known_products, models.predict_each(models.known_products)
        until, rounds, trouble = monotonic() + self.deadline_s, list[float](), ""
        while len(rounds) < ROUNDS:
            if monotonic() > until:
                raise SmokeFailed(f"smoke test: after {self.deadline_s:.0f} s {trouble}")
            try:
                replies = [self._ask(product) for product in products]
            except SmokeFailed as error:
                trouble = str(error)
            else:
                trouble = _not_yet(release, replies)
            if trouble:
                rounds.clear()
                sleep(LOOK_EVERY_S)
                continue
            _check_answers(replies, expected)
            rounds.append(_ms(replies))
        if before_ms is not None and exceeds_latency_limit(min(rounds), before_ms, self.limits):
            raise SmokeFailed(f"smoke test: an answer takes {min(rounds):.0f} ms instead of {before_ms:.0f}")

    def _ask(self, product: KnownProduct) -> Reply:
        request = Request(  # noqa: S310 - our own service
            f"{self.service.rstrip('/')}/v2/models/{MODEL}/infer",
            *encode_request(_columns(product), binary=False),
        )
        began = perf_counter()
        try:
            with urlopen(request, timeout=TIMEOUT_S) as answer:  # noqa: S310 - our own service
                response = decode_response(answer.read(), answer.headers[HEADER_LENGTH])
            took_s = perf_counter() - began
            return Reply(
                str(response.parameters["release"]),
                bool(response.parameters["degraded"]),
                response.outputs["probabilities"].ravel().astype(np.float64),
                took_s,
            )
        except (URLError, OSError) as error:
            raise SmokeFailed(f"{self.service} does not answer: {error}") from error
        except (InvalidResponse, KeyError) as error:
            raise SmokeFailed(f"{self.service} does not respond with probabilities of a release: {error}") from error


def _columns(product: KnownProduct) -> dict[str, list[str] | list[bytes]]:
    return {
        "designation": [product.designation],
        "description": [product.description],
        "image": [product.photo or b""],
    }


def _not_yet(release: str, replies: Sequence[Reply]) -> str:
    """Return why these are not complete answers of the release."""
    others = sorted({reply.release for reply in replies} - {release})
    if others:
        return f"the servers still answer with {', '.join(others)}"
    return "the servers answer without one of the models" if any(reply.degraded for reply in replies) else ""


def _check_answers(replies: Sequence[Reply], expected: Sequence[NDArray[np.floating]]) -> None:
    for number, (reply, right) in enumerate(zip(replies, expected, strict=True)):
        if reply.probabilities.shape != right.shape:
            raise SmokeFailed(f"smoke test: known product {number} gets {reply.probabilities.size} probabilities")
        distance = float(np.abs(reply.probabilities - right).max())
        if not distance <= TOLERANCE:
            raise SmokeFailed(f"smoke test: the answer to known product {number} is off by {distance:.3f}")


def _ms(replies: Sequence[Reply]) -> float:
    return 1000 * sum(reply.took_s for reply in replies) / max(len(replies), 1)
