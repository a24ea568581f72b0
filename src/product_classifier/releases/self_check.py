"""Recorded predictions of a model, repeated whenever its bundle is loaded.

A bundle stores generated inputs and the probabilities that the model returned for them. The inputs contain no product
of a catalogue.
"""

import base64
from collections.abc import Callable, Mapping
from typing import TYPE_CHECKING, Any

import numpy as np

from product_classifier.errors import BundleRefused, InvalidInput
from product_classifier.fusion.model import FusionModel
from product_classifier.probabilities import Floats
from product_classifier.taxonomy import Taxonomy
from product_classifier.text.model import TextModel

if TYPE_CHECKING:
    from product_classifier.images.model import ImageModel

RECORDED_LABELS = 20
"""Labels that the self-check of a text model has at most, about."""
TOLERANCE = 5e-3
"""Largest difference of a probability. Processors differ by less; another model differs by far more."""


def record_text(model: TextModel, taxonomy: Taxonomy) -> dict[str, Any]:
    """Return inputs made of category labels and one empty input, and the probabilities of the model."""
    categories = [taxonomy[code] for code in taxonomy.codes[:: max(3, len(taxonomy) // RECORDED_LABELS)]]
    designations = [category.label() for category in categories] + [""]
    descriptions = [f"<p>{category.label('en')} &amp; plus</p>" for category in categories] + [""]
    probabilities = model.probabilities(designations, descriptions)
    return {"designation": designations, "description": descriptions, "probabilities": _round(probabilities)}


def record_image(model: "ImageModel") -> dict[str, Any]:
    """Return a PNG, a JPEG and a PNG with a border, base64, and the probabilities of the model."""
    import cv2  # noqa: PLC0415 - only images with photo libraries record or check photos
    import simplejpeg  # noqa: PLC0415

    rows, columns = np.mgrid[0:120, 0:160]
    pattern = np.stack([columns + 60, rows * 2, (rows // 20 + columns // 20) % 2 * 200], axis=2).astype(np.uint8)
    rings = (np.hypot(rows - 60, columns - 80) % 30 < 15)[:, :, None]
    photos = [
        cv2.imencode(".png", pattern)[1].tobytes(),
        simplejpeg.encode_jpeg(np.ascontiguousarray(np.where(rings, pattern, 255)), 92),
        cv2.imencode(".png", np.pad(pattern, ((40, 20), (10, 90), (0, 0)), constant_values=250))[1].tobytes(),
    ]
    encoded = [base64.b64encode(photo).decode() for photo in photos]
    return {"image": encoded, "probabilities": _round(model.probabilities(photos))}


def record_fusion(model: FusionModel) -> dict[str, Any]:
    """Return random inputs with both modalities and with each alone, and the fused probabilities."""
    rng = np.random.default_rng(27)
    text, image = (rng.dirichlet(np.full(len(model.codes), 0.3), 3).astype(np.float32) for _ in range(2))
    flags = {"has_text": [True, True, False], "has_image": [True, False, True]}
    probabilities = model.combine(text, image, np.array(flags["has_text"]), np.array(flags["has_image"]))
    return {
        "text": text.astype(float).tolist(),
        "image": image.astype(float).tolist(),
        **flags,
        "probabilities": _round(probabilities),
    }


def check_text(model: TextModel, recorded: Mapping[str, Any]) -> None:
    """Repeat the recorded predictions.

    Raises:
        BundleRefused: If the record is malformed or a probability differs by more than `TOLERANCE`.
    """
    _check(lambda: model.probabilities(recorded["designation"], recorded["description"]), recorded)


def check_image(model: "ImageModel", recorded: Mapping[str, Any]) -> None:
    """Repeat the recorded predictions; see `check_text`."""
    _check(lambda: model.probabilities([base64.b64decode(photo) for photo in recorded["image"]]), recorded)


def check_fusion(model: FusionModel, recorded: Mapping[str, Any]) -> None:
    """Repeat the recorded predictions; see `check_text`."""

    def predict() -> Floats:
        text, image = (np.asarray(recorded[name], np.float32) for name in ("text", "image"))
        return model.combine(text, image, np.array(recorded["has_text"]), np.array(recorded["has_image"]))

    _check(predict, recorded)


def _check(predict: Callable[[], Floats], recorded: Mapping[str, Any]) -> None:
    try:
        expected = np.asarray(recorded["probabilities"], np.float32)
        found = predict()
    except (KeyError, TypeError, ValueError, AttributeError, IndexError, InvalidInput) as error:
        raise BundleRefused(f"self-check: cannot be repeated: {type(error).__name__} {str(error)[:80]}") from error
    if not len(expected) or found.shape != expected.shape:
        raise BundleRefused(f"self-check: probabilities have shape {found.shape}, recorded {expected.shape}")
    if not np.isfinite(found).all() or not np.allclose(found.sum(axis=1), 1, atol=1e-3):
        raise BundleRefused("self-check: the model does not return probabilities")
    difference = float(np.abs(found - expected).max())
    if not difference <= TOLERANCE:
        raise BundleRefused(
            f"self-check: probabilities differ by {difference:.4f} from the recorded ones, at most {TOLERANCE}"
        )


def _round(probabilities: Floats) -> list[list[float]]:
    return [[round(float(value), 6) for value in row] for row in probabilities]
