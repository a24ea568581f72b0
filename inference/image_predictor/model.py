"""The image model as a KServe predictor: encoded photos to probabilities."""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from functools import partial

import numpy as np
from numpy.typing import NDArray

from inference.http.problems import InvalidTensor
from inference.model_server.flags import Flags
from inference.model_server.loaded_releases import LoadedRelease, LoadedReleases
from inference.model_server.model import ProductModel
from inference.model_server.workers import WorkerPool
from inference.oip.types import InputTensor, ModelRequest, ModelResponse, OutputTensor, Signature
from product_classifier.errors import InvalidImage
from product_classifier.images import decoder_process, decoding
from product_classifier.images.headers import read_header
from product_classifier.images.image_info import ImageInfo
from product_classifier.images.model import ImageModel
from product_classifier.releases import release

INPUTS = (InputTensor("image", photo=True, required=True),)
OUTPUTS = (OutputTensor("probabilities", "FP32"),)
SHORT_MS = 50.0
"""Estimated decoding time up to which the photos of a request are decoded and classified at once."""


def make(flags: Flags, codes: tuple[int, ...] | None = None) -> "ImagePredictor":
    """Return the predictor with its bundle loaded.

    Raises:
        BundleRefused: If the bundle is invalid, or `codes` is given and not its category codes.
    """
    releases = LoadedReleases(flags.model_dir, partial(release.load_image, codes=codes), flags.release)
    signature = Signature(INPUTS, OUTPUTS, flags.max_rows)
    decoder_process.start()
    return ImagePredictor(
        flags.model_name, signature, releases, WorkerPool(flags.threads, flags.max_waiting, flags.max_wait_s)
    )


class ImagePredictor(ProductModel[ImageModel]):
    """Predicts one row of probabilities per photo, decoded as in training."""

    async def infer(self, request: ModelRequest, loaded: LoadedRelease[ImageModel]) -> ModelResponse:
        photos = request.photos("image")
        outcome = await self.workers.run(_classify_at_once, loaded.model, photos)
        if isinstance(outcome, list):
            pixels: list[decoding.Pixels] = []
            for part in _parts(photos, outcome):
                pixels += await self.workers.run_long(_decode_all, part, loaded.model.size)
            outcome = await self.workers.run(loaded.model.probabilities_from_pixels, np.stack(pixels))
        return ModelResponse({"probabilities": outcome}, loaded.release, loaded.version)


@dataclass(frozen=True, slots=True)
class _Photo:
    """A photo of a request, its row and its header."""

    data: bytes
    row: int
    info: ImageInfo


def _classify_at_once(model: ImageModel, photos: Sequence[bytes]) -> NDArray[np.float32] | list[ImageInfo]:
    """Return probabilities, or the headers of the photos if decoding them takes long."""
    headers = [_read_header(photo, row) for row, photo in enumerate(photos)]
    if sum(info.decoding_ms for info in headers) > SHORT_MS:
        return headers
    return model.probabilities_from_pixels(np.stack(_decode_all(_all(photos, headers), model.size)))


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


def _decode_all(photos: Sequence[_Photo], size: int) -> list[decoding.Pixels]:
    return [_decode(photo, size) for photo in photos]


def _read_header(photo: bytes, row: int) -> ImageInfo:
    try:
        return read_header(photo)
    except InvalidImage as error:
        raise InvalidTensor(str(error), tensor="image", row=row) from error


def _decode(photo: _Photo, size: int) -> decoding.Pixels:
    try:
        return decoding.decode(photo.data, size, photo.info)
    except InvalidImage as error:
        raise InvalidTensor(str(error), tensor="image", row=photo.row) from error
