"""Our model server with a no-op model: python -m benchmarks.noop --model_dir BUNDLE."""

import sys
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np

from inference.model_server import Flags, serve
from product_classifier.bundles.bundle import BundleInfo, verify
from product_classifier.catalogue.challenge import CHALLENGE
from product_classifier.errors import InvalidInput

if TYPE_CHECKING:
    from inference.model_server.model import ProductModel

ANSWER = np.full((1, len(CHALLENGE)), 1 / len(CHALLENGE), np.float32)


def make(flags: Flags) -> "list[ProductModel[None]]":
    """Return a no-op model with the inputs and threads of the predictor named `model_name`."""
    from inference.image_predictor.model import INPUTS as PHOTOS  # noqa: PLC0415
    from inference.model_server.loaded_releases import LoadedRelease, LoadedReleases  # noqa: PLC0415
    from inference.model_server.model import ProductModel  # noqa: PLC0415 - the SDK is imported after the flags are parsed
    from inference.model_server.workers import WorkerPool  # noqa: PLC0415
    from inference.oip.explain import ExplainRequest, ExplainResponse  # noqa: PLC0415
    from inference.oip.types import ModelRequest, ModelResponse, Signature  # noqa: PLC0415
    from inference.text_predictor.model import INPUTS as TEXTS  # noqa: PLC0415
    from inference.text_predictor.model import OUTPUTS  # noqa: PLC0415

    class Noop(ProductModel[None]):
        async def infer(self, request: ModelRequest, loaded: LoadedRelease[None]) -> ModelResponse:
            probabilities = await self.workers.run(lambda rows: np.repeat(ANSWER, rows, axis=0), request.rows)
            return ModelResponse({"probabilities": probabilities}, loaded.release, loaded.version)

        async def explain_products(
            self,
            request: ExplainRequest,  # noqa: ARG002 - named by the base class
            loaded: LoadedRelease[None],  # noqa: ARG002
        ) -> ExplainResponse:
            raise InvalidInput("a model that computes nothing has no explanation")

    def load(folder: Path) -> tuple[None, BundleInfo]:
        return None, verify(folder)

    inputs = PHOTOS if flags.model_name == "image-predictor" else TEXTS
    releases = LoadedReleases(flags.model_dir, load, flags.release)
    return [
        Noop(
            flags.model_name,
            Signature(inputs, OUTPUTS),
            releases,
            WorkerPool(flags.threads, flags.max_waiting, flags.max_wait_s),
        )
    ]


if __name__ == "__main__":
    sys.exit(serve("text-predictor", make, sys.argv[1:]))
