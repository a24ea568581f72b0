"""Our model server with a no-op model: python -m benchmarks.noop --model_dir BUNDLE."""

import sys
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np

from inference.model_server import Flags, serve
from product_classifier.bundles.bundle import BundleInfo, verify
from product_classifier.taxonomy import CHALLENGE

if TYPE_CHECKING:
    from inference.model_server.model import ProductModel

ANSWER = np.full((1, len(CHALLENGE)), 1 / len(CHALLENGE), np.float32)


def make(flags: Flags) -> "list[ProductModel[None]]":
    """Return a no-op model with the inputs and threads of the predictor named `model_name`."""
    from inference.image_predictor.model import INPUTS as PHOTOS  # noqa: PLC0415
    from inference.model_server.model import ProductModel  # noqa: PLC0415 - the SDK may be imported once flags are read
    from inference.model_server.releases import Loaded, Releases  # noqa: PLC0415
    from inference.model_server.workers import Workers  # noqa: PLC0415
    from inference.oip.types import Answer, Request, Signature  # noqa: PLC0415
    from inference.text_predictor.model import INPUTS as TEXTS  # noqa: PLC0415
    from inference.text_predictor.model import OUTPUTS  # noqa: PLC0415

    class Noop(ProductModel[None]):
        async def answer(self, request: Request, loaded: Loaded[None]) -> Answer:
            probabilities = await self.workers.run(lambda rows: np.repeat(ANSWER, rows, axis=0), request.rows)
            return Answer({"probabilities": probabilities}, loaded.release, loaded.version)

    def load(folder: Path) -> tuple[None, BundleInfo]:
        return None, verify(folder)

    inputs = PHOTOS if flags.model_name == "image-predictor" else TEXTS
    releases = Releases(flags.model_dir, load, flags.release)
    return [
        Noop(
            flags.model_name,
            Signature(inputs, OUTPUTS),
            releases,
            Workers(flags.threads, flags.max_waiting, flags.max_wait_s),
        )
    ]


if __name__ == "__main__":
    sys.exit(serve("text-predictor", make, sys.argv[1:]))
