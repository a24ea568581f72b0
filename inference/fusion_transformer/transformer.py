"""The fusion as a KServe transformer: call both predictors and combine their probabilities.

A product has text, a photo or both; each predictor receives only the rows that have its modality. If a predictor is
down or slow the response is computed without it and marked `degraded`; the request fails if a row has no other one.

A response never mixes releases: the fusion names its release in both requests. While three servers switch one after
the other, a predictor may not have that release; then the fusion uses the other release that it holds.

A challenger may be loaded as well: see `challenger`.
"""

import asyncio
from collections.abc import Coroutine, Mapping, Sequence
from dataclasses import dataclass, field, replace
from typing import Any

import numpy as np
import orjson
from numpy.typing import NDArray

from inference.fusion_transformer.challenger import Canary, Shadow, complete_or_none, counted
from inference.fusion_transformer.explained_rows import ExplainedRow, explain_row
from inference.fusion_transformer.http_predictor import connect_over_http
from inference.fusion_transformer.modalities import ProductRows, Rows, at_request_row, modality_rows
from inference.fusion_transformer.predictor_client import IMAGE, TEXT, Connect, Prediction, PredictorClient
from inference.fusion_transformer.settings import Settings
from inference.http.problems import ReleaseNotLoaded, RowsUnavailable
from inference.model_server.flags import Flags
from inference.model_server.loaded_releases import LoadedRelease, LoadedReleases
from inference.model_server.model import ProductModel
from inference.model_server.server_metrics import DEGRADED
from inference.model_server.workers import WorkerPool
from inference.oip.explain import ExplainRequest, ExplainResponse
from inference.oip.top_classes import expand
from inference.oip.types import InputTensor, ModelRequest, ModelResponse, OutputTensor, Signature
from product_classifier.decisions import decide
from product_classifier.errors import ModelUnavailable
from product_classifier.fusion.model import FusionModel
from product_classifier.limits import DESIGNATION_CHARACTERS
from product_classifier.observability import get_logger
from product_classifier.releases import release
from product_classifier.settings_reader import read_settings

INPUTS = (
    InputTensor("designation", max_characters=DESIGNATION_CHARACTERS),
    InputTensor("description"),
    InputTensor("image", photo=True),
)
OUTPUTS = (
    OutputTensor("probabilities", "FP32", "codes"),
    OutputTensor("code", ""),
    OutputTensor("text_probabilities", "FP32", "text_codes"),
    OutputTensor("image_probabilities", "FP32", "image_codes"),
)
SWITCH_S = 0.3
"""How long to wait for predictors that are switching to another release, before the last attempt."""
MAX_ROWS_ON_LOOP = 4
"""Rows whose texts are searched for words on the event loop; for an adversarial text that takes 20 ms."""

log = get_logger()
Clients = Mapping[str, PredictorClient]
"""By modality."""


def make(flags: Flags, connect: Connect | None = None) -> "FusionTransformer":
    """Return the fusion with its bundle loaded; predictors are called over HTTP without `connect`.

    Raises:
        BundleRefused: If the bundle is invalid.
    """
    releases = LoadedReleases(flags.model_dir, release.load_fusion, flags.release)
    signature = Signature(INPUTS, OUTPUTS, flags.max_rows)
    workers = WorkerPool(1, flags.max_waiting, flags.max_wait_s)
    settings = read_settings(Settings)
    return FusionTransformer(
        flags.model_name, signature, releases, workers, settings, connect, max_explanations=flags.max_explanations
    )


@dataclass
class ModalityPredictions:
    """By modality, the probabilities of every row, and the error of an unavailable predictor."""

    probabilities: dict[str, NDArray[np.float32]]
    predicted: dict[str, Rows]
    """Which rows have a prediction; the others have zeros."""
    unavailable: dict[str, Exception] = field(default_factory=dict)

    def add(self, modality: str, prediction: Prediction) -> None:
        """Store the prediction for the rows that have the modality."""
        if len(prediction.probabilities) == len(self.predicted[modality]):
            self.probabilities[modality] = prediction.probabilities
        else:
            self.probabilities[modality][self.predicted[modality]] = prediction.probabilities


class FusionTransformer(ProductModel[FusionModel]):
    """Predicts probabilities and the most probable code of products with text, a photo or both."""

    def __init__(
        self,
        name: str,
        signature: Signature,
        releases: LoadedReleases[FusionModel],
        workers: WorkerPool,
        settings: Settings,
        connect: Connect | None = None,
        *,
        max_explanations: int = 2,
    ) -> None:
        super().__init__(name, signature, releases, workers, max_explanations)
        self._settings = settings
        self._canary = Canary(settings.canary_release, settings.canary_share)
        self._shadow = Shadow(settings.shadow_release, settings.shadow_waiting)
        self._connect = connect or connect_over_http(settings)
        self._clients: dict[str, Clients] = {}

    async def open(self) -> None:
        settings = self._settings
        # A challenger has separate clients: when it is slow, the champion's circuit breakers stay closed.
        for role, deadline_s in (("champion", settings.deadline_s), ("challenger", settings.challenger_deadline_s)):
            self._clients[role] = {modality: self._connect(modality, deadline_s) for modality in (TEXT, IMAGE)}

    async def close(self) -> None:
        await self._shadow.close()
        for clients in self._clients.values():
            for client in clients.values():
                client.close()

    async def infer(self, request: ModelRequest, loaded: LoadedRelease[FusionModel]) -> ModelResponse:
        response = await self._infer(request, loaded)
        for modality in filter(None, str(response.parameters.get("unavailable", "")).split(",")):
            DEGRADED.labels(modality).inc()
        return response

    async def explain_products(self, request: ExplainRequest, loaded: LoadedRelease[FusionModel]) -> ExplainResponse:
        predictions = await self.infer(request.products, loaded)
        explained = self.releases.select(predictions.release)  # the canary's, if it served this request
        rows = ExplainedRow.of(request, predictions, explained)
        clients = self._clients["champion"]
        explanations = await asyncio.gather(*(explain_row(row, explained, clients, request.heat_map) for row in rows))
        return ExplainResponse(
            explanations,
            explained.release,
            explained.version,
            predictions.parameters,
            predictions if request.predictions else None,
        )

    async def _infer(self, request: ModelRequest, loaded: LoadedRelease[FusionModel]) -> ModelResponse:
        if request.rows > MAX_ROWS_ON_LOOP:
            products = ProductRows(request, await self.workers.run(modality_rows, request))
        else:
            products = ProductRows(request, modality_rows(request))
        if request.release or request.version:
            return await counted(lambda: self._infer_with_one_of(products, [loaded]), loaded.release, "named")
        if self._canary.serves(request):
            canary = self._canary.release
            response = await complete_or_none(lambda: self._infer_with_challenger(products, canary), canary, "canary")
            if response is not None:
                return response
        challengers = {self._canary.release, self._shadow.release} - {loaded.release}
        candidates = [one for one in self.releases.loaded() if one.release not in challengers]
        response = await counted(lambda: self._infer_with_one_of(products, candidates), loaded.release, "champion")
        self._shadow.compare(response, lambda: self._infer_with_challenger(products, self._shadow.release))
        return response

    async def _infer_with_one_of(
        self, products: ProductRows, candidates: Sequence[LoadedRelease[FusionModel]]
    ) -> ModelResponse:
        """Infer with the first release that all predictors have; after a pause, try the current one once more."""
        clients = self._clients["champion"]
        for candidate in candidates:
            try:
                return _combine(await _predict_all(products, candidate, clients), candidate)
            except ReleaseNotLoaded as error:
                log.info("release_skipped", release=candidate.release, reason=str(error))
        await asyncio.sleep(SWITCH_S)
        current = self.releases.select(products.request.release, products.request.version)
        return _combine(await _predict_all(products, current, clients, last_attempt=True), current)

    async def _infer_with_challenger(self, products: ProductRows, release: str) -> ModelResponse:
        loaded = self.releases.select(release)
        return _combine(await _predict_all(products, loaded, self._clients["challenger"]), loaded)


async def _predict_all(
    products: ProductRows, loaded: LoadedRelease[FusionModel], clients: Clients, *, last_attempt: bool = False
) -> ModalityPredictions:
    """Return the predictions of all modalities that the products have.

    Raises:
        ReleaseNotLoaded: If a predictor does not have this release; in the last attempt it counts as unavailable.
        InvalidInput: If a predictor refuses a row or the request.
    """
    modalities = [modality for modality, rows in products.has.items() if np.count_nonzero(rows)]
    results = await _results([_predict(products, modality, loaded, clients[modality]) for modality in modalities])
    shape = (products.request.rows, len(loaded.codes))
    predictions = ModalityPredictions({one: np.zeros(shape, np.float32) for one in products.has}, dict(products.has))
    for modality, result in zip(modalities, results, strict=True):
        if isinstance(result, Prediction):
            predictions.add(modality, result)
            continue
        tolerated = (ModelUnavailable, ReleaseNotLoaded) if last_attempt else (ModelUnavailable,)
        if not isinstance(result, tolerated):
            raise at_request_row(result, products.has[modality])
        predictions.predicted[modality] = np.zeros(shape[0], np.bool_)
        predictions.unavailable[modality] = result
    return predictions


async def _results(calls: Sequence[Coroutine[Any, Any, Prediction]]) -> Sequence[Prediction | BaseException]:
    """Return the results and exceptions of concurrent calls; a single call runs without a task, which costs less."""
    if len(calls) > 1:
        return list(await asyncio.gather(*calls, return_exceptions=True))
    try:
        return [await calls[0]]
    except Exception as error:  # noqa: BLE001 - the caller handles it
        return [error]


async def _predict(
    products: ProductRows, modality: str, loaded: LoadedRelease[FusionModel], client: PredictorClient
) -> Prediction:
    release = loaded.release if loaded.pinned else ""
    prediction = await client.predict(products.columns(modality), len(loaded.codes), release)
    if release and prediction.release != release:
        raise ModelUnavailable(f"{client.model} responded with release {prediction.release}, not {release}")
    if prediction.taxonomy not in {"", loaded.taxonomy_digest}:
        raise ModelUnavailable(
            f"{client.model} has taxonomy {prediction.taxonomy:.12}, the fusion {loaded.taxonomy_digest:.12}"
        )
    if prediction.codes is None:
        return prediction
    try:
        values = expand(prediction.probabilities, prediction.codes, loaded.positions)
    except ValueError as error:
        raise ModelUnavailable(f"{client.model}: {error}") from error
    return replace(prediction, probabilities=values, codes=None)


def _combine(predictions: ModalityPredictions, loaded: LoadedRelease[FusionModel]) -> ModelResponse:
    has_text, has_image = predictions.predicted[TEXT], predictions.predicted[IMAGE]
    if predictions.unavailable and (missing := np.flatnonzero(~(has_text | has_image)).tolist()):
        raise RowsUnavailable(missing, "; ".join(str(error) for error in predictions.unavailable.values()))
    text, image = predictions.probabilities[TEXT], predictions.probabilities[IMAGE]
    fused = loaded.model.combine(text, image, has_text, has_image)
    codes = loaded.display_codes[fused.argmax(axis=1)]
    parameters: dict[str, bool | int | str] = {
        "degraded": bool(predictions.unavailable),
        "taxonomy": loaded.taxonomy_digest,
        "modalities": ",".join(one for one, rows in predictions.predicted.items() if np.count_nonzero(rows)),
        "decision": ",".join(decide(accepted=one) for one in loaded.model.accepts(fused).tolist()),
    }
    if predictions.unavailable:
        parameters["unavailable"] = ",".join(predictions.unavailable)
    above = loaded.model.answers_above(fused)
    if any(above):
        shown = [one and one._asdict() | {"code": loaded.taxonomy.to_json_code(one.code)} for one in above]
        parameters["accepted_at"] = orjson.dumps(shown).decode()
    outputs = {"probabilities": fused, "code": codes, "text_probabilities": text, "image_probabilities": image}
    return ModelResponse(outputs, loaded.release, loaded.version, parameters, loaded.display_codes)
