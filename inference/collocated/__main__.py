"""python -m inference.collocated --model_dir DIR: the three models of a release on one port."""

import sys
from dataclasses import replace
from typing import TYPE_CHECKING, Any

from inference.fusion_transformer.settings import Settings
from inference.model_server import Flags, serve
from product_classifier.model_names import FUSION, IMAGE, TEXT

if TYPE_CHECKING:
    from inference.model_server.model import ProductModel


def main() -> int:
    """Serve the three bundles of a release."""
    return serve("collocated", _make, sys.argv[1:], [Settings])


def _make(flags: Flags) -> "list[ProductModel[Any]]":
    from inference.fusion_transformer import transformer  # noqa: PLC0415 - the SDK is imported after the flags are parsed
    from inference.fusion_transformer.in_process import connect_in_process  # noqa: PLC0415
    from inference.image_predictor import model as image_predictor  # noqa: PLC0415
    from inference.text_predictor import model as text_predictor  # noqa: PLC0415

    text = text_predictor.make(replace(flags, model_name=TEXT))
    image = image_predictor.make(replace(flags, model_name=IMAGE))
    connect = connect_in_process({"text": text, "image": image})
    fusion = transformer.make(replace(flags, model_name=FUSION), connect)
    return [text, image, fusion]


if __name__ == "__main__":
    sys.exit(main())
