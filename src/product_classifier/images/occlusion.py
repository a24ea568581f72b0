"""Which regions of a photo a prediction depends on: occlusion (Zeiler & Fergus 2014, section 4.2).

Each cell of a grid over the decoded photo is filled with the photo's mean color; a region matters as much as the
probability of the category drops without it. It needs nothing of a model but its predictions.
"""

from collections.abc import Sequence
from typing import Final, Protocol

import cv2
import numpy as np

from product_classifier.images.scaling import Pixels
from product_classifier.limits import OCCLUSION_GRID
from product_classifier.probabilities import Floats

GRID: Final = OCCLUSION_GRID
CELLS: Final = GRID * GRID
_HEAT_MAP_PIXELS: Final = 240
_MIN_DROP: Final = 1e-6
"""Drops below are rounding; the heat map is not scaled to them."""


class PixelClassifier(Protocol):
    """A model of decoded photos."""

    def probabilities_from_pixels(self, pixels: Pixels) -> Floats:
        """Return probabilities `[n, classes]` of photos `[n, size, size, 3]`."""


def occlusion_map(model: PixelClassifier, pixels: Pixels, category: int) -> Floats:
    """Return by how much the probability of a category drops without each cell `[GRID, GRID]`."""
    original = model.probabilities_from_pixels(pixels[None])[0, category]
    occluded = model.probabilities_from_pixels(occlude(pixels, range(CELLS)))[:, category]
    return drops(float(original), [occluded])


def drops(original: float, occluded: Sequence[Floats]) -> Floats:
    """Return the drops `[GRID, GRID]` from the probabilities of a photo and its occluded copies."""
    found: Floats = (original - np.concatenate(occluded)).reshape(GRID, GRID).astype(np.float32)
    return found


def occlude(pixels: Pixels, cells: range) -> Pixels:
    """Return a copy of a photo `[size, size, 3]` without each of these cells, counted by rows."""
    edges = np.linspace(0, len(pixels), GRID + 1).round().astype(int).tolist()
    copies = np.repeat(pixels[None], len(cells), axis=0)
    fill = pixels.reshape(-1, 3).mean(axis=0).round().astype(np.uint8)
    for copy, cell in zip(copies, cells, strict=True):
        row, column = divmod(cell, GRID)
        copy[edges[row] : edges[row + 1], edges[column] : edges[column + 1]] = fill
    return copies


def heat_map(pixels: Pixels, drop: Floats) -> bytes:
    """Return a PNG of the photo in gray, regions for the category in red, those against in blue."""
    size = (_HEAT_MAP_PIXELS, _HEAT_MAP_PIXELS)
    gray = cv2.resize(cv2.cvtColor(pixels, cv2.COLOR_RGB2GRAY), size, interpolation=cv2.INTER_LINEAR)
    scaled = drop / max(float(np.abs(drop).max()), _MIN_DROP)
    heat = cv2.resize(scaled.astype(np.float32), size, interpolation=cv2.INTER_LINEAR)[:, :, None]
    red, blue = np.array([40.0, 40.0, 220.0]), np.array([220.0, 90.0, 40.0])  # OpenCV's order is BGR
    strength = 0.7 * np.abs(heat)
    mixed = (1 - strength) * gray[:, :, None] + strength * np.where(heat > 0, red, blue)
    done, encoded = cv2.imencode(".png", mixed.round().astype(np.uint8))
    if not done:
        raise RuntimeError("OpenCV could not encode a heat map")
    return encoded.tobytes()
