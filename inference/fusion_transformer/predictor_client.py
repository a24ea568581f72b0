"""Client of one predictor: its prediction before a deadline, or an error that the fusion can handle."""

import abc
import time
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from inference.http.problems import ReleaseNotLoaded
from inference.model_server.server_metrics import PREDICTOR_REQUESTS
from product_classifier.errors import InvalidInput, ModelUnavailable
from product_classifier.limits import FULL_VECTOR_CLASSES
from product_classifier.observability import get_logger
from product_classifier.top_probabilities import CANDIDATES
from product_classifier.tracing import span

TEXT, IMAGE = "text", "image"
EXPLANATION_DEADLINE_S = 8.0
"""Seconds that the explanation of one product may take; less than the time that the gateway waits."""

log = get_logger()
Columns = Mapping[str, list[str] | list[bytes]]


@dataclass(frozen=True)
class Prediction:
    """Probabilities `[n, classes]` of a predictor, and the release that computed them.

    Of many categories, they may be those of the most probable ones, `[n, k]`, with their codes.
    """

    probabilities: NDArray[np.float32]
    release: str
    taxonomy: str = ""
    """Digest of the taxonomy whose codes the columns have; empty from a predictor of an earlier version."""
    codes: NDArray[Any] | None = None
    """Codes `[n, k]` of the most probable categories, as V2 shows them; None if all are there."""


class PredictorClient(abc.ABC):
    """Sends requests to one predictor and counts their outcomes."""

    def __init__(self, model: str) -> None:
        self.model = model

    async def predict(self, columns: Columns, classes: int, release: str) -> Prediction:
        """Return the prediction of some rows by a release; an empty `release` means the current one.

        Raises:
            InvalidTensor: If the predictor refuses a row; `row` counts within `columns`.
            InvalidInput: If the predictor refuses the request.
            ReleaseNotLoaded: If the predictor does not have this release.
            ModelUnavailable: If it is down, slow or overloaded, or its response is invalid.
        """
        started, outcome = time.perf_counter(), "ok"
        try:
            with span(f"POST {self.model}", "client"):
                return await self._predict(columns, classes, release)
        except ModelUnavailable as error:
            outcome = "unavailable"
            log.warning("predictor_unavailable", predictor=self.model, reason=str(error))
            raise
        except (InvalidInput, ReleaseNotLoaded) as error:
            outcome = "refused"
            raise error from None
        finally:
            PREDICTOR_REQUESTS.observe(time.perf_counter() - started, self.model, outcome)

    async def explain(self, columns: Columns, release: str, code: str, *, heat_map: bool) -> Mapping[str, Any]:
        """Return the explanation of one product for a category.

        Raises:
            InvalidInput: If the predictor refuses the request.
            ReleaseNotLoaded: If the predictor does not have this release.
            ModelUnavailable: If it is down, slow or overloaded, or its response is invalid.
        """
        try:
            with span(f"explain by {self.model}", "client"):
                return await self._explain(columns, release, code, heat_map)
        except ModelUnavailable as error:
            log.warning("explanation_unavailable", predictor=self.model, reason=str(error))
            raise

    @abc.abstractmethod
    async def _predict(self, columns: Columns, classes: int, release: str) -> Prediction:
        """Send the request; raise only what `predict` declares."""

    @abc.abstractmethod
    async def _explain(self, columns: Columns, release: str, code: str, heat_map: bool) -> Mapping[str, Any]:
        """Send the request; raise only what `explain` declares."""

    @abc.abstractmethod
    def close(self) -> None:
        """Release connections."""


Connect = Callable[[str, float], PredictorClient]
"""Returns the client of a modality's predictor, with a deadline for predictions in seconds."""


def check_prediction(model: str, prediction: Prediction, rows: int, classes: int) -> Prediction:
    """Return a prediction of finite probabilities `[rows, classes]`, or of fewer with codes.

    Raises:
        ModelUnavailable: For any other.
    """
    shape = prediction.probabilities.shape
    if prediction.codes is not None and classes > FULL_VECTOR_CLASSES:
        classes = min(prediction.codes.shape[-1], CANDIDATES)
    if shape != (rows, classes) or not np.isfinite(prediction.probabilities).all():
        raise ModelUnavailable(f"{model} responded with {shape}, not {(rows, classes)} finite probabilities")
    return prediction
