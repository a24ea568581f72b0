"""Smoke test of the model servers: compare their predictions with those of the release itself."""

from collections.abc import Sequence
from dataclasses import dataclass
from time import monotonic, perf_counter, sleep
from urllib.error import URLError
from urllib.request import Request, urlopen

import numpy as np
from numpy.typing import NDArray

from components.shared.serving_check import KnownProduct, ReleaseModels
from inference.oip.client import HEADER_LENGTH, InvalidResponse, decode_response, encode_request
from product_classifier.errors import ProductClassifierError
from product_classifier.evaluation.gate import GateLimits, exceeds_latency_limit
from product_classifier.model_names import FUSION
from product_classifier.taxonomy import Codes
from product_classifier.taxonomy.stored_codes import from_stored

TIMEOUT_S = 10.0
ROUNDS = 3
"""Consecutive rounds that must pass: one address may balance over several servers."""
POLL_INTERVAL_S = 0.25
TOLERANCE = 0.02
"""Largest difference of a probability from the one computed here, on another CPU."""


class SmokeTestFailed(ProductClassifierError):
    """The servers do not serve a release correctly; the message has the last problem."""


@dataclass(frozen=True, slots=True)
class FusionResponse:
    """One response of the fusion."""

    release: str
    degraded: bool
    probabilities: NDArray[np.float64]
    """Probabilities `[classes]`, or `[k]` of the most probable categories."""
    latency_s: float
    codes: tuple[str, ...] = ()
    """Codes `[k]`; empty if all categories are there."""


@dataclass(frozen=True)
class SmokeTest:
    """Smoke test of the fusion's servers at the base URL `service`."""

    service: str
    limits: GateLimits
    deadline_s: float

    def ms_per_product(self, products: Sequence[KnownProduct]) -> float | None:
        """Measure the latency of the deployed release; return None if a request fails."""
        try:
            return min(_ms([self.predict(product) for product in products]) for _ in range(ROUNDS))
        except SmokeTestFailed:
            return None

    def verify_serving(self, release: str, models: ReleaseModels, before_ms: float | None) -> None:
        """Return once the servers predict as the models of `release` do, within the latency limit.

        Until the deadline, responses of another release, degraded responses and failed requests are retried. A wrong
        prediction or a high latency of the release itself fails at once.

        Args:
            release: Id of the release.
            models: Models of the release in this process.
            before_ms: Latency of the release deployed before; None for no limit.

        Raises:
            SmokeTestFailed: With the last problem.
        """
        products, expected = models.known_products, models.predict_each(models.known_products)
        deadline, rounds, problem = monotonic() + self.deadline_s, list[float](), ""
        while len(rounds) < ROUNDS:
            if monotonic() > deadline:
                raise SmokeTestFailed(f"smoke test: after {self.deadline_s:.0f} s {problem}; see the servers' logs")
            try:
                responses = [self.predict(product) for product in products]
            except SmokeTestFailed as error:
                problem = str(error)
            else:
                problem = _incomplete(release, responses)
            if problem:
                rounds.clear()
                sleep(POLL_INTERVAL_S)
                continue
            _check_predictions(responses, expected, models.codes)
            rounds.append(_ms(responses))
        if before_ms is not None and exceeds_latency_limit(min(rounds), before_ms, self.limits):
            raise SmokeTestFailed(f"smoke test: a prediction takes {min(rounds):.0f} ms instead of {before_ms:.0f}")

    def predict(self, product: KnownProduct) -> FusionResponse:
        """Send one product to the fusion; raise `SmokeTestFailed` if the request fails."""
        request = Request(  # noqa: S310 - the scheme is set by the deployment
            f"{self.service.rstrip('/')}/v2/models/{FUSION}/infer",
            *encode_request(_columns(product), binary=False),
        )
        started_s = perf_counter()
        try:
            with urlopen(request, timeout=TIMEOUT_S) as reply:  # noqa: S310 - likewise
                response = decode_response(reply.read(), reply.headers[HEADER_LENGTH])
            latency_s = perf_counter() - started_s
            many = "codes" in response.outputs
            return FusionResponse(
                str(response.parameters["release"]),
                bool(response.parameters["degraded"]),
                response.outputs["probabilities"].ravel().astype(np.float64),
                latency_s,
                tuple(map(from_stored, response.outputs["codes"].ravel().tolist())) if many else (),
            )
        except (URLError, OSError) as error:
            raise SmokeTestFailed(f"{self.service}: does not respond: {error}") from error
        except (InvalidResponse, KeyError) as error:
            raise SmokeTestFailed(f"{self.service}: does not respond with probabilities: {error}") from error


def _columns(product: KnownProduct) -> dict[str, list[str] | list[bytes]]:
    return {
        "designation": [product.designation],
        "description": [product.description],
        "image": [product.photo or b""],
    }


def _incomplete(release: str, responses: Sequence[FusionResponse]) -> str:
    """Return why these are not complete responses of the release; "" if they are."""
    others = sorted({response.release for response in responses} - {release})
    if others:
        return f"the servers still respond with {', '.join(others)}"
    return "the responses are degraded" if any(response.degraded for response in responses) else ""


def _check_predictions(
    responses: Sequence[FusionResponse], expected: Sequence[NDArray[np.floating]], codes: Codes
) -> None:
    positions = {code: position for position, code in enumerate(codes)}
    for number, (response, every) in enumerate(zip(responses, expected, strict=True)):
        if unknown := [code for code in response.codes if code not in positions]:
            raise SmokeTestFailed(f"smoke test: known product {number} has the unknown category {unknown[0]!r:.40}")
        correct = every[[positions[code] for code in response.codes]] if response.codes else every
        if response.probabilities.shape != correct.shape:
            size = response.probabilities.size
            raise SmokeTestFailed(f"smoke test: known product {number} has {size} probabilities, not {correct.size}")
        distance = float(np.abs(response.probabilities - correct).max())
        if not distance <= TOLERANCE:
            raise SmokeTestFailed(f"smoke test: the prediction for known product {number} is off by {distance:.3f}")


def _ms(responses: Sequence[FusionResponse]) -> float:
    return 1000 * sum(response.latency_s for response in responses) / max(len(responses), 1)
