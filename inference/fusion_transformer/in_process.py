"""Client of a predictor in the same process, with the same errors as over HTTP."""

import asyncio
from collections.abc import AsyncIterator, Mapping
from contextlib import asynccontextmanager
from typing import Any

from inference.fusion_transformer.predictor_client import (
    EXPLANATION_DEADLINE_S,
    Columns,
    Connect,
    Prediction,
    PredictorClient,
    check_prediction,
)
from inference.http.problems import Overloaded, ReleaseNotLoaded
from inference.model_server.model import ProductModel
from inference.oip.explain import ExplainRequest
from inference.oip.types import validate_request
from product_classifier.errors import InvalidInput, ModelUnavailable
from product_classifier.observability import get_logger

log = get_logger()


def connect_in_process(models: Mapping[str, ProductModel[Any]]) -> Connect:
    """Return a `Connect` for models of this process, by modality."""
    return lambda modality, deadline_s: InProcessPredictorClient(models[modality], deadline_s)


class InProcessPredictorClient(PredictorClient):
    """Calls a predictor of this process."""

    def __init__(self, predictor: ProductModel[Any], deadline_s: float) -> None:
        super().__init__(predictor.name)
        self._predictor = predictor
        self._deadline_s = deadline_s

    async def _predict(self, columns: Columns, classes: int, release: str) -> Prediction:
        request = validate_request(self._predictor.signature, columns, release=release)
        async with self._call(self._deadline_s):
            response = await self._predictor.predict(request)
        taxonomy = str(response.parameters.get("taxonomy", ""))
        prediction = Prediction(response.outputs["probabilities"], response.release, taxonomy)
        return check_prediction(self.model, prediction, request.rows, classes)

    async def _explain(self, columns: Columns, release: str, code: str, heat_map: bool) -> Mapping[str, Any]:
        products = validate_request(self._predictor.signature, columns, release=release)
        async with self._call(EXPLANATION_DEADLINE_S):
            response = await self._predictor.explain(ExplainRequest(products, (code,), heat_map))
        return response.explanations[0]

    @asynccontextmanager
    async def _call(self, deadline_s: float) -> AsyncIterator[None]:
        """Limit a call of the predictor to `deadline_s` seconds; its failures are those of a separate process."""
        try:
            async with asyncio.timeout(deadline_s):
                yield
        except (InvalidInput, ReleaseNotLoaded):
            raise
        except TimeoutError as error:
            raise ModelUnavailable(f"{self.model} did not respond within {deadline_s:g} s") from error
        except Overloaded as error:
            raise ModelUnavailable(f"{self.model}: {error}") from error
        except Exception as error:
            log.exception("predictor_failed", predictor=self.model)
            # In a separate process this is a 500, after which the fusion responds without the modality.
            raise ModelUnavailable(f"{self.model} failed ({type(error).__name__})") from error

    def close(self) -> None:
        """Do nothing: the process closes the predictor."""
