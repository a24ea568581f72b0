"""Load a text model of any type."""

from pathlib import Path

from product_classifier.bundles.arrays import read_json
from product_classifier.errors import BundleRefused
from product_classifier.text.hashed_linear import HashedLinear
from product_classifier.text.model import TextModel
from product_classifier.text.sparse_linear import SparseLinear


def load_text_model(folder: Path) -> TextModel:
    """Load the text model whose type `model.json` names.

    Raises:
        BundleRefused: If the files are not a text model.
    """
    settings = read_json(folder / "model.json")
    match settings.get("type"):
        case HashedLinear.TYPE:
            return HashedLinear.read(folder, settings)
        case SparseLinear.TYPE:
            return SparseLinear.read(folder, settings)
        case "encoder":
            from product_classifier.text.text_encoder import TextEncoder  # noqa: PLC0415 - requires ONNX Runtime

            return TextEncoder.read(folder, settings)
        case "late-fused":
            from product_classifier.text.late_fused import LateFused  # noqa: PLC0415 - requires ONNX Runtime

            return LateFused.read(folder, settings)
        case other:
            raise BundleRefused(
                f"model.json: type is {other!r}, not {HashedLinear.TYPE!r}, {SparseLinear.TYPE!r}, 'encoder' or "
                "'late-fused'"
            )
