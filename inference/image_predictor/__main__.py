"""python -m inference.image_predictor --model_dir DIR."""

import sys
from typing import TYPE_CHECKING

from inference.model_server import Flags, serve
from product_classifier.model_names import IMAGE

if TYPE_CHECKING:
    from inference.image_predictor.model import ImagePredictor


def main() -> int:
    """Serve the image bundle."""
    return serve(IMAGE, _make, sys.argv[1:])


def _make(flags: Flags) -> "list[ImagePredictor]":
    from inference.image_predictor.model import make  # noqa: PLC0415 - the SDK is imported after the flags are parsed

    return [make(flags)]


if __name__ == "__main__":
    sys.exit(main())
