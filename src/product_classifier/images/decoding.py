"""Decode photos to pixels; training and serving share the decoder, so equal bytes give equal pixels.

Accepted are still JPEG (gray, color, CMYK) and PNG (any depth, palette or alpha, which is composited on white), up to
the sizes in `limits`. EXIF orientation is applied. Animated PNG, other formats, damaged or truncated files and files
with data after the image are refused. JPEG is downscaled during DCT decoding, which saves most of the time.
"""

import io
import struct
import zlib
from typing import Any

import cv2
import numpy as np
import simplejpeg
from numpy.typing import NDArray

from product_classifier.errors import InvalidImage
from product_classifier.images.headers import ImageInfo, read_header

DEFAULT_SIZE = 64

Pixels = NDArray[np.uint8]

cv2.setNumThreads(1)  # requests decode one image at a time, and other servers share the cores


def decode(data: bytes, size: int = DEFAULT_SIZE) -> Pixels:
    """Return RGB pixels `[size, size, 3]`, scaled with the aspect ratio preserved and centered on white.

    Raises:
        InvalidImage: If the photo is not accepted.
    """
    info = read_header(data)
    if info.format == "PNG":
        pixels = _decode_png(data)
    elif info.channels == 4:
        pixels = _decode_cmyk(data, size)
    else:
        pixels = _decode_jpeg(data, info, size)
    return _upright(_fit(pixels, size), info.orientation)


def _decode_jpeg(data: bytes, info: ImageInfo, size: int) -> Pixels:
    wide = info.width >= info.height
    try:
        pixels: Pixels = simplejpeg.decode_jpeg(
            data, "RGB", min_width=size if wide else 0, min_height=0 if wide else size
        )
    except ValueError as error:
        raise InvalidImage(f"the JPEG cannot be decoded: {str(error)[:80]}") from error
    return pixels


def _decode_cmyk(data: bytes, size: int) -> Pixels:
    image = _open(data, "JPEG")
    image.draft("CMYK", (size, size))
    return _to_array(image, "RGB")


def _decode_png(data: bytes) -> Pixels:
    image = _open(data, "PNG")
    if image.mode.startswith("I"):  # 16-bit gray; Pillow clips it instead of scaling
        gray = (_to_array(image, None) >> 8).astype(np.uint8)
        return np.repeat(gray[:, :, None], 3, axis=2)
    if image.mode not in ("RGBA", "LA", "PA") and "transparency" not in image.info:
        return _to_array(image, "RGB")
    rgba = _to_array(image, "RGBA")
    alpha = rgba[:, :, 3:].astype(np.uint16)
    return ((rgba[:, :, :3] * alpha + 255 * (255 - alpha) + 127) // 255).astype(np.uint8)


def _open(data: bytes, kind: str) -> Any:
    from PIL import Image  # noqa: PLC0415 - takes 0.1 s to import and is not needed for most JPEG photos

    try:
        return Image.open(io.BytesIO(data), formats=[kind])
    except (OSError, SyntaxError, ValueError, EOFError, struct.error) as error:
        raise InvalidImage(f"the {kind} cannot be opened: {_reason(error)}") from error


def _to_array(image: Any, mode: str | None) -> NDArray[Any]:
    try:
        return np.asarray(image if mode is None else image.convert(mode))
    except (OSError, SyntaxError, ValueError, EOFError, struct.error, zlib.error) as error:
        raise InvalidImage(f"the {image.format} cannot be decoded: {_reason(error)}") from error


def _reason(error: Exception) -> str:
    text = str(error)
    return "it is damaged" if "<" in text else text[:80]  # Pillow quotes the address of an object


def _fit(pixels: Pixels, size: int) -> Pixels:
    """Scale to fit a square of `size` pixels and center on white."""
    height, width = pixels.shape[:2]
    scale = size / max(height, width)
    if scale != 1:
        target = (max(1, round(width * scale)), max(1, round(height * scale)))
        # Above one half, bilinear averages the same pixels as area interpolation at a quarter of the cost.
        pixels = cv2.resize(pixels, target, interpolation=cv2.INTER_AREA if scale < 0.5 else cv2.INTER_LINEAR)
        height, width = pixels.shape[:2]
    if height == width:
        return np.ascontiguousarray(pixels)
    square = np.full((size, size, 3), 255, np.uint8)
    top, left = (size - height) // 2, (size - width) // 2
    square[top : top + height, left : left + width] = pixels
    return square


def _upright(square: Pixels, orientation: int) -> Pixels:
    """Apply an EXIF orientation (TIFF tag 274)."""
    if orientation == 1:
        return square
    if orientation >= 5:
        square = square.transpose(1, 0, 2)
    if orientation in (2, 3, 6, 7):
        square = square[:, ::-1]
    if orientation in (3, 4, 7, 8):
        square = square[::-1]
    return np.ascontiguousarray(square)
