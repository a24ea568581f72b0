"""The image model as a KServe predictor: encoded photos to probabilities."""

from collections.abc import Sequence
from functools import partial
from typing import Any

import numpy as np
from numpy.typing import NDArray

from inference.http.problems import InvalidTensor
from inference.model_server.flags import Flags
from inference.model_server.loaded_releases import LoadedRelease, LoadedReleases
from inference.model_server.model import ProductModel
from inference.model_server.workers import WorkerPool
from inference.oip.types import InputTensor, ModelRequest, ModelResponse, OutputTensor, Signature
from product_classifier.errors import InvalidImage
from product_classifier.images import decoding
from product_classifier.images.model import ImageModel
from product_classifier.releases import release

INPUTS = (InputTensor("image", photo=True, required=True),)
OUTPUTS = (OutputTensor("probabilities", "FP32"),)


def make(flags: Flags, codes: tuple[int, ...] | None = None) -> "ImagePredictor":
    """Return the predictor with its bundle loaded.

    Raises:
        BundleRefused: If the bundle is invalid, or `codes` is given and not its category codes.
    """
    releases = LoadedReleases(flags.model_dir, partial(release.load_image, codes=codes), flags.release)
    signature = Signature(INPUTS, OUTPUTS, flags.max_rows)
    return ImagePredictor(
        flags.model_name, signature, releases, WorkerPool(flags.threads, flags.max_waiting, flags.max_wait_s)
    )


class ImagePredictor(ProductModel[ImageModel]):
    """Predicts one row of probabilities per photo, decoded as in training."""

    async def infer(self, request: ModelRequest, loaded: LoadedRelease[ImageModel]) -> ModelResponse:
        probabilities = await self.workers.run(_classify, loaded.model, request.photos("image"))
        return ModelResponse({"probabilities": probabilities}, loaded.release, loaded.version)


def _classify(model: ImageModel, photos: Sequence[bytes]) -> NDArray[Any]:
    pixels = [_decode(photo, row, model.size) for row, photo in enumerate(photos)]
    return model.probabilities_from_pixels(np.stack(pixels))


def _decode(photo: bytes, row: int, size: int) -> decoding.Pixels:
    try:
        return decoding.decode(photo, size)
    except InvalidImage as error:
        raise InvalidTensor(str(error), tensor="image", row=row) from error
