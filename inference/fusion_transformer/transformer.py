"""Ask both models at once, fuse what they say, answer.

A product has text, a photo or both, and each model is asked only about the rows it can say something about. A model
that is down or slow is left out, and the answer says so; a row nothing is left to say about makes the request fail.

No answer mixes two releases: the fusion names its own to both predictors. While the three servers switch, one after the
other, a predictor may not have it yet, or no more; then the fusion answers with the other release it holds.
"""

import asyncio
from dataclasses import dataclass, field

import aiohttp
import numpy as np
from numpy.typing import NDArray

from inference.errors import InvalidTensor, ReleaseNotLoaded, RowsUnanswered
from inference.fusion_transformer.hop import Columns, Hop, Opinion, connect
from inference.fusion_transformer.settings import Settings
from inference.model_server.flags import Flags
from inference.model_server.measures import DEGRADED
from inference.model_server.model import ProductModel
from inference.model_server.releases import Loaded, Releases
from inference.model_server.workers import Workers
from inference.protocol import Answer, Input, Output, Request, Signature
from product_classifier import release
from product_classifier.errors import InvalidProduct, ModelUnavailable
from product_classifier.fusion import FusionModel
from product_classifier.observability import get_logger

INPUTS = (Input("designation"), Input("description"), Input("image", photo=True))
OUTPUTS = (
    Output("probabilities", "FP32"),
    Output("code", "INT64", per_class=False),
    Output("text_probabilities", "FP32"),
    Output("image_probabilities", "FP32"),
)
TEXT, IMAGE = "text", "image"
SWITCH_S = 0.3
"""How long to wait for predictors that are about to switch, before giving up on them."""

log = get_logger()
Rows = NDArray[np.bool_]


def make(flags: Flags) -> "FusionTransformer":
    """Load the fusion bundle; the predictors may be away."""
    releases = Releases(flags.model_dir, release.load_fusion, flags.release)
    signature = Signature(INPUTS, OUTPUTS, flags.max_rows)
    workers = Workers(1, flags.max_waiting)
    return FusionTransformer(flags.model_name, signature, releases, workers, Settings())


@dataclass(frozen=True)
class Products:
    """The rows of a request, and what each has."""

    request: Request
    has: dict[str, Rows]

    def columns(self, modality: str) -> Columns:
        """Return the rows that have a modality, as its predictor reads them."""
        rows = np.flatnonzero(self.has[modality]).tolist()
        if modality == IMAGE:
            photos = self.request.photos("image")
            return {"image": [photos[row] for row in rows]}
        texts = {name: self.request.texts(name) for name in ("designation", "description")}
        return {name: [values[row] for row in rows] for name, values in texts.items()}


@dataclass
class Opinions:
    """What each model said, per row of the request, and which did not answer."""

    probabilities: dict[str, NDArray[np.float32]]
    heard: dict[str, Rows]
    unavailable: dict[str, Exception] = field(default_factory=dict)


class FusionTransformer(ProductModel[FusionModel]):
    """Answers probabilities and the most likely code of products with text, a photo or both."""

    def __init__(
        self,
        name: str,
        signature: Signature,
        releases: Releases[FusionModel],
        workers: Workers,
        settings: Settings,
    ) -> None:
        super().__init__(name, signature, releases, workers)
        self._settings = settings
        self._session: aiohttp.ClientSession
        self._hops: dict[str, Hop] = {}

    async def open(self) -> None:
        settings = self._settings
        self._session = connect(settings.connections)
        self._hops = {
            TEXT: Hop(self._session, settings.text_url, settings.text_model, settings.deadline_s),
            IMAGE: Hop(self._session, settings.image_url, settings.image_model, settings.deadline_s),
        }

    async def close(self) -> None:
        await self._session.close()

    async def answer(self, request: Request, loaded: Loaded[FusionModel]) -> Answer:
        products = Products(request, _present(request))
        asked_for = bool(request.release or request.version)
        for candidate in [loaded] if asked_for else self.releases.loaded():
            try:
                return _fuse(await self._ask(products, candidate, patient=True), candidate)
            except ReleaseNotLoaded as error:
                log.info("release_not_everywhere", release=candidate.release, reason=str(error))
        await asyncio.sleep(SWITCH_S)
        current = self.releases.select(request.release, request.version)
        return _fuse(await self._ask(products, current, patient=False), current)

    async def _ask(self, products: Products, loaded: Loaded[FusionModel], *, patient: bool) -> Opinions:
        """Ask every model that has something to say; let a missing release through only if `patient`."""
        asked = [modality for modality, rows in products.has.items() if rows.any()]
        replies = await asyncio.gather(
            *(self._ask_one(products, modality, loaded) for modality in asked), return_exceptions=True
        )
        shape = (products.request.rows, len(loaded.codes))
        opinions = Opinions({one: np.zeros(shape, np.float32) for one in products.has}, dict(products.has))
        for modality, reply in zip(asked, replies, strict=True):
            if isinstance(reply, Opinion):
                opinions.probabilities[modality][products.has[modality]] = reply.probabilities
                continue
            if not isinstance(reply, ModelUnavailable) and (patient or not isinstance(reply, ReleaseNotLoaded)):
                raise _at_request_row(reply, products.has[modality])
            opinions.heard[modality] = np.zeros(shape[0], np.bool_)
            opinions.unavailable[modality] = reply
        return opinions

    async def _ask_one(self, products: Products, modality: str, loaded: Loaded[FusionModel]) -> Opinion:
        hop, pin = self._hops[modality], loaded.release if loaded.pinned else ""
        opinion = await hop.ask(products.columns(modality), len(loaded.codes), pin)
        if pin and opinion.release != pin:
            raise ModelUnavailable(f"{hop.model} answered with release {opinion.release}, not {pin}")
        return opinion


def _fuse(opinions: Opinions, loaded: Loaded[FusionModel]) -> Answer:
    heard_text, heard_image = opinions.heard[TEXT], opinions.heard[IMAGE]
    if left := np.flatnonzero(~(heard_text | heard_image)).tolist():
        reasons = "; ".join(str(error) for error in opinions.unavailable.values())
        raise RowsUnanswered(left, reasons)
    said = opinions.probabilities
    fused = loaded.model.combine(said[TEXT], said[IMAGE], heard_text, heard_image)
    codes = np.asarray(loaded.codes, np.int64)[fused.argmax(axis=1)]
    parameters: dict[str, bool | int | str] = {
        "degraded": bool(opinions.unavailable),
        "modalities": ",".join(one for one, rows in opinions.heard.items() if rows.any()),
    }
    if opinions.unavailable:
        parameters["unavailable"] = ",".join(opinions.unavailable)
        for modality in opinions.unavailable:
            DEGRADED.labels(modality).inc()
    outputs = {
        "probabilities": fused,
        "code": codes,
        "text_probabilities": said[TEXT],
        "image_probabilities": said[IMAGE],
    }
    return Answer(outputs, loaded.release, loaded.version, parameters)


def _present(request: Request) -> dict[str, Rows]:
    """Return which rows have text and which a photo; every row has one of them."""
    titles, bodies = request.texts("designation"), request.texts("description")
    text = np.array([bool(title.strip() or body.strip()) for title, body in zip(titles, bodies, strict=True)], np.bool_)
    image = np.array([bool(photo) for photo in request.photos("image")], np.bool_)
    if neither := np.flatnonzero(~(text | image)).tolist():
        raise InvalidProduct(f"row {neither[0]} has neither text nor image")
    return {TEXT: text, IMAGE: image}


def _at_request_row(error: BaseException, rows: Rows) -> BaseException:
    """Count the row of an error as the caller did: a predictor saw only the rows that have its modality."""
    if isinstance(error, InvalidTensor) and error.row is not None and error.row < rows.sum():
        return InvalidTensor(error.reason, tensor=error.tensor, row=int(np.flatnonzero(rows)[error.row]))
    return error
