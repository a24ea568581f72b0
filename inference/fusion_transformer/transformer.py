"""Ask both models at once, fuse what they say, answer.

A product has text, a photo or both, and each model is asked only about the rows it can say something about. A model
that is down or slow is left out, and the answer says so; a row nothing is left to say about makes the request fail.

No answer mixes two releases: the fusion names its own to both predictors. While the three servers switch, one after the
other, a predictor may not have it yet, or no more; then the fusion answers with the other release it holds.

A challenger may be held too: see `challenge`.
"""

import asyncio
from collections.abc import Coroutine, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

import numpy as np
from numpy.typing import NDArray

from inference.fusion_transformer.challenger import Canary, Shadow, attempt, measured
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
from inference.oip.types import InferenceRequest, InferenceResponse, InputTensor, OutputTensor, Signature
from product_classifier.errors import ModelUnavailable
from product_classifier.fusion.model import FusionModel
from product_classifier.observability import get_logger
from product_classifier.releases import release

INPUTS = (InputTensor("designation"), InputTensor("description"), InputTensor("image", photo=True))
OUTPUTS = (
    OutputTensor("probabilities", "FP32"),
    OutputTensor("code", "INT64", per_class=False),
    OutputTensor("text_probabilities", "FP32"),
    OutputTensor("image_probabilities", "FP32"),
)
SWITCH_S = 0.3
"""How long to wait for predictors that are about to switch, before giving up on them."""

log = get_logger()
Hops = Mapping[str, PredictorClient]


def make(flags: Flags, connect: Connect | None = None) -> "FusionTransformer":
    """Load the fusion bundle; the predictors may be away. Without `connect` they are asked over HTTP."""
    releases = LoadedReleases(flags.model_dir, release.load_fusion, flags.release)
    signature = Signature(INPUTS, OUTPUTS, flags.max_rows)
    workers = WorkerPool(1, flags.max_waiting, flags.max_wait_s)
    return FusionTransformer(flags.model_name, signature, releases, workers, Settings(), connect)


@dataclass
class ModalityPredictions:
    """What each model said, per row of the request, and which did not answer."""

    probabilities: dict[str, NDArray[np.float32]]
    heard: dict[str, Rows]
    unavailable: dict[str, Exception] = field(default_factory=dict)

    def add(self, modality: str, prediction: Prediction) -> None:
        """Put what a model said into the rows it was asked about."""
        if len(prediction.probabilities) == len(self.heard[modality]):
            self.probabilities[modality] = prediction.probabilities
        else:
            self.probabilities[modality][self.heard[modality]] = prediction.probabilities


class FusionTransformer(ProductModel[FusionModel]):
    """Answers probabilities and the most likely code of products with text, a photo or both."""

    def __init__(
        self,
        name: str,
        signature: Signature,
        releases: LoadedReleases[FusionModel],
        workers: WorkerPool,
        settings: Settings,
        connect: Connect | None = None,
    ) -> None:
        super().__init__(name, signature, releases, workers)
        self._settings = settings
        self._canary = Canary(settings.canary_release, settings.canary_share)
        self._shadow = Shadow(settings.shadow_release, settings.shadow_waiting)
        self._connect = connect or connect_over_http(settings)
        self._hops: dict[str, Hops] = {}

    async def open(self) -> None:
        settings = self._settings
        # A challenger has hops of its own: when it is slow, the champion's predictors are not spared for it.
        for role, deadline_s in (("champion", settings.deadline_s), ("challenger", settings.challenger_deadline_s)):
            self._hops[role] = {modality: self._connect(modality, deadline_s) for modality in (TEXT, IMAGE)}

    async def close(self) -> None:
        await self._shadow.close()
        for hops in self._hops.values():
            for hop in hops.values():
                hop.close()

    async def answer(self, request: InferenceRequest, loaded: LoadedRelease[FusionModel]) -> InferenceResponse:
        answer = await self._answer(request, loaded)
        for modality in filter(None, str(answer.parameters.get("unavailable", "")).split(",")):
            DEGRADED.labels(modality).inc()
        return answer

    async def _answer(self, request: InferenceRequest, loaded: LoadedRelease[FusionModel]) -> InferenceResponse:
        products = ProductRows(request, modality_rows(request))
        if request.release or request.version:
            return await measured(lambda: self._as_one_of(products, [loaded]), loaded.release, "named")
        if self._canary.takes(request):
            answer = await attempt(
                lambda: self._as_challenger(products, self._canary.release), self._canary.release, "canary"
            )
            if answer is not None:
                return answer
        challengers = {self._canary.release, self._shadow.release} - {loaded.release}
        candidates = [one for one in self.releases.loaded() if one.release not in challengers]
        answer = await measured(lambda: self._as_one_of(products, candidates), loaded.release, "champion")
        self._shadow.follow(answer, lambda: self._as_challenger(products, self._shadow.release))
        return answer

    async def _as_one_of(
        self, products: ProductRows, candidates: Sequence[LoadedRelease[FusionModel]]
    ) -> InferenceResponse:
        """InferenceResponse with the first release that all predictors have."""
        hops = self._hops["champion"]
        for candidate in candidates:
            try:
                return _fuse(await self._ask(products, candidate, hops, patient=True), candidate)
            except ReleaseNotLoaded as error:
                log.info("release_not_everywhere", release=candidate.release, reason=str(error))
        await asyncio.sleep(SWITCH_S)
        current = self.releases.select(products.request.release, products.request.version)
        return _fuse(await self._ask(products, current, hops, patient=False), current)

    async def _as_challenger(self, products: ProductRows, release: str) -> InferenceResponse:
        loaded = self.releases.select(release)
        return _fuse(await self._ask(products, loaded, self._hops["challenger"], patient=True), loaded)

    async def _ask(
        self, products: ProductRows, loaded: LoadedRelease[FusionModel], hops: Hops, *, patient: bool
    ) -> ModalityPredictions:
        """Ask every model that has something to say; let a missing release through only if `patient`."""
        asked = [modality for modality, rows in products.has.items() if np.count_nonzero(rows)]
        replies = await _ended([_ask_one(products, modality, loaded, hops) for modality in asked])
        shape = (products.request.rows, len(loaded.codes))
        predictions = ModalityPredictions(
            {one: np.zeros(shape, np.float32) for one in products.has}, dict(products.has)
        )
        for modality, reply in zip(asked, replies, strict=True):
            if isinstance(reply, Prediction):
                predictions.add(modality, reply)
                continue
            if not isinstance(reply, ModelUnavailable) and (patient or not isinstance(reply, ReleaseNotLoaded)):
                raise at_request_row(reply, products.has[modality])
            predictions.heard[modality] = np.zeros(shape[0], np.bool_)
            predictions.unavailable[modality] = reply
        return predictions


async def _ended(questions: Sequence[Coroutine[Any, Any, Prediction]]) -> Sequence[Prediction | BaseException]:
    """Await all, and return how each ended; one alone needs no task of its own."""
    if len(questions) > 1:
        return list(await asyncio.gather(*questions, return_exceptions=True))
    try:
        return [await questions[0]]
    except Exception as error:  # noqa: BLE001 - the caller looks at it
        return [error]


async def _ask_one(products: ProductRows, modality: str, loaded: LoadedRelease[FusionModel], hops: Hops) -> Prediction:
    hop, pin = hops[modality], loaded.release if loaded.pinned else ""
    prediction = await hop.ask(products.columns(modality), len(loaded.codes), pin)
    if pin and prediction.release != pin:
        raise ModelUnavailable(f"{hop.model} answered with release {prediction.release}, not {pin}")
    return prediction


def _fuse(predictions: ModalityPredictions, loaded: LoadedRelease[FusionModel]) -> InferenceResponse:
    heard_text, heard_image = predictions.heard[TEXT], predictions.heard[IMAGE]
    if predictions.unavailable and (left := np.flatnonzero(~(heard_text | heard_image)).tolist()):
        reasons = "; ".join(str(error) for error in predictions.unavailable.values())
        raise RowsUnavailable(left, reasons)
    said = predictions.probabilities
    fused = loaded.model.combine(said[TEXT], said[IMAGE], heard_text, heard_image)
    codes = np.asarray(loaded.codes, np.int64)[fused.argmax(axis=1)]
    parameters: dict[str, bool | int | str] = {
        "degraded": bool(predictions.unavailable),
        "modalities": ",".join(one for one, rows in predictions.heard.items() if np.count_nonzero(rows)),
    }
    if predictions.unavailable:
        parameters["unavailable"] = ",".join(predictions.unavailable)
    outputs = {
        "probabilities": fused,
        "code": codes,
        "text_probabilities": said[TEXT],
        "image_probabilities": said[IMAGE],
    }
    return InferenceResponse(outputs, loaded.release, loaded.version, parameters)
