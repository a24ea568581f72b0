"""Questions a model answered when it was sealed, asked again when it is loaded.

The questions are made here, from nothing: no product of a catalogue travels inside a bundle.
"""

import base64
from collections.abc import Mapping
from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.typing import NDArray

from product_classifier.errors import BundleRefused, InvalidInput
from product_classifier.fusion.model import FusionModel
from product_classifier.taxonomy import CATEGORIES
from product_classifier.text.model import TextModel

if TYPE_CHECKING:
    from product_classifier.images.model import ImageModel

TOLERANCE = 5e-3
"""How far a probability may move between processors; a wrong model is off by far more."""


def record_text(model: TextModel) -> dict[str, Any]:
    """Record what a text model answers to the category names and to nothing at all."""
    designations = [category.label_fr for category in CATEGORIES[::3]] + [""]
    descriptions = [f"<p>{category.label_en} &amp; plus</p>" for category in CATEGORIES[::3]] + [""]
    answers = model.probabilities(designations, descriptions)
    return {"designation": designations, "description": descriptions, "probabilities": _round(answers)}


def record_image(model: "ImageModel") -> dict[str, Any]:
    """Record what an image model answers to a drawn PNG and a drawn JPEG."""
    import cv2  # noqa: PLC0415 - only images with photo libraries make or check photos
    import simplejpeg  # noqa: PLC0415

    rows, columns = np.mgrid[0:120, 0:160]
    drawn = np.stack([columns + 60, rows * 2, (rows // 20 + columns // 20) % 2 * 200], axis=2).astype(np.uint8)
    ring = (np.hypot(rows - 60, columns - 80) % 30 < 15)[:, :, None]
    photos = [
        cv2.imencode(".png", drawn)[1].tobytes(),
        simplejpeg.encode_jpeg(np.ascontiguousarray(np.where(ring, drawn, 255)), 92),
    ]
    answers = model.probabilities(photos)
    encoded = [base64.b64encode(photo).decode() for photo in photos]
    return {"image": encoded, "probabilities": _round(answers)}


def record_fusion(model: FusionModel) -> dict[str, Any]:
    """Record what a fusion model answers to both, text alone, image alone."""
    rng = np.random.default_rng(27)
    text, image = (rng.dirichlet(np.full(len(model.codes), 0.3), 3).astype(np.float32) for _ in range(2))
    flags = {"has_text": [True, True, False], "has_image": [True, False, True]}
    answers = model.combine(text, image, np.array(flags["has_text"]), np.array(flags["has_image"]))
    return {
        "text": text.astype(float).tolist(),
        "image": image.astype(float).tolist(),
        **flags,
        "probabilities": _round(answers),
    }


def check_text(model: TextModel, recorded: Mapping[str, Any]) -> None:
    """Ask again.

    Raises:
        BundleRefused: If the answer is another one.
    """
    _compare(lambda: model.probabilities(recorded["designation"], recorded["description"]), recorded)


def check_image(model: "ImageModel", recorded: Mapping[str, Any]) -> None:
    """Ask again; see `check_text`."""
    _compare(lambda: model.probabilities([base64.b64decode(photo) for photo in recorded["image"]]), recorded)


def check_fusion(model: FusionModel, recorded: Mapping[str, Any]) -> None:
    """Ask again; see `check_text`."""

    def ask() -> NDArray[np.float32]:
        text, image = (np.asarray(recorded[name], np.float32) for name in ("text", "image"))
        return model.combine(text, image, np.array(recorded["has_text"]), np.array(recorded["has_image"]))

    _compare(ask, recorded)


def _compare(ask: Any, recorded: Mapping[str, Any]) -> None:
    try:
        expected = np.asarray(recorded["probabilities"], np.float32)
        answers = ask()
    except (KeyError, TypeError, ValueError, AttributeError, IndexError, InvalidInput) as error:
        raise BundleRefused(f"self-test: cannot be asked: {type(error).__name__} {str(error)[:80]}") from error
    if not len(expected) or answers.shape != expected.shape:
        raise BundleRefused(f"self-test: answers have shape {answers.shape}, recorded {expected.shape}")
    if not np.isfinite(answers).all() or not np.allclose(answers.sum(axis=1), 1, atol=1e-3):
        raise BundleRefused("self-test: answers are not probabilities")
    distance = float(np.abs(answers - expected).max())
    if not distance <= TOLERANCE:
        raise BundleRefused(f"self-test: answers differ by {distance:.4f} from the recorded ones, at most {TOLERANCE}")


def _round(probabilities: NDArray[np.float32]) -> list[list[float]]:
    return [[round(float(value), 6) for value in row] for row in probabilities]
