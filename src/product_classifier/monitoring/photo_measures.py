"""What is measured of the pixels of photos."""

from dataclasses import dataclass
from math import log2
from typing import Final

import numpy as np

from product_classifier.errors import InvalidImage
from product_classifier.images.decoding import decode
from product_classifier.images.headers import read_header

_SIDE: Final = 32
FORMATS: Final = ("JPEG", "PNG", "WEBP", "AVIF")


@dataclass(frozen=True, slots=True)
class PhotoMeasures:
    """Size, brightness and color of a photo."""

    format: str
    log_pixels: float
    """Base-2 logarithm of width times height."""
    brightness: float
    """Mean of all channels, 0 to 1."""
    saturation: float
    """Mean difference of the largest and the smallest channel, 0 to 1; 0 for gray."""


def measure_photo(photo: bytes) -> PhotoMeasures | None:
    """Return the measures of a photo; None for one that is not accepted."""
    try:
        info = read_header(photo)
        pixels = decode(photo, _SIDE, info).astype(np.float32) / 255
    except InvalidImage:
        return None
    spread = pixels.max(axis=2) - pixels.min(axis=2)
    return PhotoMeasures(info.format, log2(info.pixels), float(pixels.mean()), float(spread.mean()))
