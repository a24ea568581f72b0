"""The image model as a KServe predictor: encoded photos to probabilities."""

import base64
from collections.abc import Iterator, Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from inference.http.problems import InvalidTensor
from inference.model_server.flags import Flags
from inference.model_server.loaded_releases import LoadedRelease, LoadedReleases
from inference.model_server.model import ProductModel
from inference.model_server.workers import WorkerPool
from inference.oip.explain import ExplainRequest, ExplainResponse
from inference.oip.types import InputTensor, ModelRequest, ModelResponse, OutputTensor, Signature
from product_classifier.errors import InvalidImage
from product_classifier.images import decoder_process, decoding, occlusion
from product_classifier.images.headers import read_header
from product_classifier.images.image_info import ImageInfo
from product_classifier.images.model import BATCH, ImageModel
from product_classifier.releases import release

INPUTS = (InputTensor("image", photo=True, required=True),)
OUTPUTS = (OutputTensor("probabilities", "FP32", "codes"),)
_CELLS = tuple(range(at, min(at + BATCH, occlusion.CELLS)) for at in range(0, occlusion.CELLS, BATCH))
"""Cells that are occluded in one run of the graph; between two runs other requests are served."""
SHORT_MS = 50.0
"""Estimated decoding time up to which the photos of a request are decoded and classified at once."""


def make(flags: Flags) -> "ImagePredictor":
    """Return the predictor with its bundle loaded.

    Raises:
        BundleRefused: If the bundle is invalid.
    """
    releases = LoadedReleases(flags.model_dir, release.load_image, flags.release)
    signature = Signature(INPUTS, OUTPUTS, flags.max_rows)
    decoder_process.start()
    workers = WorkerPool(flags.threads, flags.max_waiting, flags.max_wait_s)
    return ImagePredictor(flags.model_name, signature, releases, workers, flags.max_explanations)


class ImagePredictor(ProductModel[ImageModel]):
    """Predicts one row of probabilities per photo, decoded as in training."""

    async def infer(self, request: ModelRequest, loaded: LoadedRelease[ImageModel]) -> ModelResponse:
        photos = request.photos("image")
        outcome = await self.workers.run(_classify_at_once, loaded.model, photos)
        if isinstance(outcome, list):
            pixels: list[decoding.Pixels] = []
            for part in _parts(photos, outcome):
                pixels += await self.workers.run_long(_decode_all, part, loaded.model)
            outcome = await self.workers.run(loaded.model.probabilities_from_pixels, np.stack(pixels))
        parameters = {"taxonomy": loaded.taxonomy_digest}
        return ModelResponse(
            {"probabilities": outcome}, loaded.release, loaded.version, parameters, loaded.display_codes
        )

    async def explain_products(self, request: ExplainRequest, loaded: LoadedRelease[ImageModel]) -> ExplainResponse:
        model, photos = loaded.model, request.products.photos("image")
        headers = await self.workers.run(_read_headers, photos)
        pixels = [(await self.workers.run_long(_decode_all, [photo], model))[0] for photo in _all(photos, headers)]
        probabilities = await self.workers.run_long(model.probabilities_from_pixels, np.stack(pixels))
        positions = request.positions(loaded.codes, probabilities.argmax(axis=1).tolist())
        explanations = []
        for row, position in enumerate(positions):
            probability = float(probabilities[row, position])
            parts = [await self.workers.run_long(_occlude, model, pixels[row], part, position) for part in _CELLS]
            drops = occlusion.drops(probability, parts)
            drawn = await self.workers.run(occlusion.heat_map, pixels[row], drops) if request.heat_map else None
            explanations.append(
                {
                    "code": loaded.json_code(position),
                    "probability": probability,
                    "image": {
                        "method": "occlusion",
                        "grid": drops.tolist(),
                        "heat_map": drawn if drawn is None else base64.b64encode(drawn).decode(),
                    },
                }
            )
        predictions = ModelResponse(
            {"probabilities": probabilities}, loaded.release, loaded.version, codes=loaded.display_codes
        )
        return ExplainResponse(
            explanations, loaded.release, loaded.version, predictions=predictions if request.predictions else None
        )


@dataclass(frozen=True, slots=True)
class _Photo:
    """A photo of a request, its row and its header."""

    data: bytes
    row: int
    info: ImageInfo


def _classify_at_once(model: ImageModel, photos: Sequence[bytes]) -> NDArray[np.float32] | list[ImageInfo]:
    """Return probabilities, or the headers of the photos if decoding them takes long."""
    headers = _read_headers(photos)
    if sum(info.decoding_ms for info in headers) > SHORT_MS:
        return headers
    return model.probabilities_from_pixels(np.stack(_decode_all(_all(photos, headers), model)))


def _all(photos: Sequence[bytes], headers: Sequence[ImageInfo]) -> list[_Photo]:
    return [_Photo(photo, row, info) for row, (photo, info) in enumerate(zip(photos, headers, strict=True))]


def _parts(photos: Sequence[bytes], headers: Sequence[ImageInfo]) -> Iterator[list[_Photo]]:
    """Yield photos of about `SHORT_MS`, between which other requests are served."""
    part: list[_Photo] = []
    for photo in _all(photos, headers):
        if part and sum(one.info.decoding_ms for one in part) + photo.info.decoding_ms > SHORT_MS:
            yield part
            part = []
        part.append(photo)
    yield part


def _decode_all(photos: Sequence[_Photo], model: ImageModel) -> list[decoding.Pixels]:
    return [_decode(photo, model) for photo in photos]


def _occlude(model: ImageModel, pixels: decoding.Pixels, cells: range, position: int) -> NDArray[np.float32]:
    """Return the probability of a category for the copies of a photo without each of these cells."""
    return model.probabilities_from_pixels(occlusion.occlude(pixels, cells))[:, position]


def _read_headers(photos: Sequence[bytes]) -> list[ImageInfo]:
    return [_read_header(photo, row) for row, photo in enumerate(photos)]


def _read_header(photo: bytes, row: int) -> ImageInfo:
    try:
        return read_header(photo)
    except InvalidImage as error:
        raise InvalidTensor(str(error), tensor="image", row=row) from error


def _decode(photo: _Photo, model: ImageModel) -> decoding.Pixels:
    try:
        return model.decode(photo.data, photo.info)
    except InvalidImage as error:
        raise InvalidTensor(str(error), tensor="image", row=photo.row) from error
