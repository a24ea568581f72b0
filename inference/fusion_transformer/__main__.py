"""python -m inference.fusion_transformer --model_dir DIR."""

import sys
from typing import TYPE_CHECKING

from inference.fusion_transformer.settings import Settings
from inference.model_server import Flags, serve
from product_classifier.model_names import FUSION

if TYPE_CHECKING:
    from inference.fusion_transformer.transformer import FusionTransformer


def main() -> int:
    """Serve the fusion bundle."""
    return serve(FUSION, _make, sys.argv[1:], [Settings])


def _make(flags: Flags) -> "list[FusionTransformer]":
    from inference.fusion_transformer.transformer import make  # noqa: PLC0415 - the SDK is imported after the flags are parsed

    return [make(flags)]


if __name__ == "__main__":
    sys.exit(main())
