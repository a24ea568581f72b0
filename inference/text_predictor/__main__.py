"""python -m inference.text_predictor --model_dir DIR."""

import sys
from typing import TYPE_CHECKING

from inference.model_server import Flags, serve
from product_classifier.model_names import TEXT

if TYPE_CHECKING:
    from inference.text_predictor.model import TextPredictor


def main() -> int:
    """Serve the text bundle."""
    return serve(TEXT, _make, sys.argv[1:])


def _make(flags: Flags) -> "list[TextPredictor]":
    from inference.text_predictor.model import make  # noqa: PLC0415 - the SDK is imported after the flags are parsed

    return [make(flags)]


if __name__ == "__main__":
    sys.exit(main())
