"""What the fusion needs of a predictor, wherever it is: an prediction in time, or the reason why there is none."""

import abc
from collections.abc import Callable, Mapping
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from inference.http.problems import ReleaseNotLoaded
from inference.model_server.server_metrics import HOPS
from product_classifier.errors import InvalidInput, ModelUnavailable
from product_classifier.observability import get_logger

TEXT, IMAGE = "text", "image"

log = get_logger()
Columns = Mapping[str, list[str] | list[bytes]]


@dataclass(frozen=True)
class Prediction:
    """What a predictor thinks of some rows, and which release it thinks with."""

    probabilities: NDArray[np.float32]
    release: str


class PredictorClient(abc.ABC):
    """Asks one predictor, and counts how it went."""

    def __init__(self, model: str) -> None:
        self.model = model
        self._ended = {outcome: HOPS.labels(model, outcome) for outcome in ("ok", "refused", "unavailable")}

    async def ask(self, columns: Columns, classes: int, release: str) -> Prediction:
        """Ask for the probabilities of some rows, by one release if one is named.

        Raises:
            InvalidTensor: If the predictor cannot use a row; the row is counted within `columns`.
            InvalidInput: If the predictor cannot use the request.
            ReleaseNotLoaded: If the predictor does not have this release.
            ModelUnavailable: If it is down, slow, overloaded or answers nonsense.
        """
        try:
            prediction = await self._ask(columns, classes, release)
        except ModelUnavailable as error:
            self._ended["unavailable"].inc()
            log.warning("predictor_unavailable", predictor=self.model, reason=str(error))
            raise
        except (InvalidInput, ReleaseNotLoaded) as error:
            self._ended["refused"].inc()
            raise error from None
        self._ended["ok"].inc()
        return prediction

    @abc.abstractmethod
    async def _ask(self, columns: Columns, classes: int, release: str) -> Prediction:
        """Ask, and raise nothing but what `ask` promises."""

    @abc.abstractmethod
    def close(self) -> None:
        """Give up what asking needs."""


Connect = Callable[[str, float], PredictorClient]
"""Reach the predictor of a modality, which may take so many seconds to answer."""


def checked(model: str, prediction: Prediction, rows: int, classes: int) -> Prediction:
    """Refuse probabilities that are not those asked for."""
    shape = prediction.probabilities.shape
    if shape != (rows, classes) or not np.isfinite(prediction.probabilities).all():
        raise ModelUnavailable(f"{model} answered {shape}, not {(rows, classes)} finite probabilities")
    return prediction
