"""One decoder from photo bytes to pixels, for training and for serving.

The same bytes give the same pixels in both, bit for bit: a model never sees a picture decoded in another way than the
ones it learnt from. A JPEG is shrunk while its DCT is decoded, which is where the time goes.

What is accepted: still JPEG (grey, colour, CMYK) and PNG (any depth, palette or alpha, which is laid on white), at most
8 MiB, 4096 pixels a side and 16 megapixels. EXIF orientation is applied. An animated PNG, any other format, a damaged
or truncated file, and a file with something else behind the picture are refused.
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

cv2.setNumThreads(1)  # one image at a time per request; threads would only fight with the other servers


def decode(data: bytes, size: int = DEFAULT_SIZE) -> Pixels:
    """Return the photo as RGB pixels `[size, size, 3]`, its shape kept, the rest white.

    Raises:
        InvalidImage: If it is not a photo we accept.
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
    if image.mode.startswith("I"):  # 16 bits of grey; Pillow would clip them instead of scaling
        grey = (_to_array(image, None) >> 8).astype(np.uint8)
        return np.repeat(grey[:, :, None], 3, axis=2)
    if image.mode not in ("RGBA", "LA", "PA") and "transparency" not in image.info:
        return _to_array(image, "RGB")
    rgba = _to_array(image, "RGBA")
    alpha = rgba[:, :, 3:].astype(np.uint16)
    return ((rgba[:, :, :3] * alpha + 255 * (255 - alpha) + 127) // 255).astype(np.uint8)


def _open(data: bytes, kind: str) -> Any:
    from PIL import Image  # noqa: PLC0415 - takes a tenth of a second, and most photos are JPEG

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
    return "it is damaged" if "<" in text else text[:80]  # Pillow may quote an object's address


def _fit(pixels: Pixels, size: int) -> Pixels:
    """Scale to fit a square and centre on white."""
    height, width = pixels.shape[:2]
    scale = size / max(height, width)
    if scale != 1:
        target = (max(1, round(width * scale)), max(1, round(height * scale)))
        # Above one half, two pixels in each direction are all there is to average, at a quarter of the cost.
        pixels = cv2.resize(pixels, target, interpolation=cv2.INTER_AREA if scale < 0.5 else cv2.INTER_LINEAR)
        height, width = pixels.shape[:2]
    if height == width:
        return np.ascontiguousarray(pixels)
    square = np.full((size, size, 3), 255, np.uint8)
    top, left = (size - height) // 2, (size - width) // 2
    square[top : top + height, left : left + width] = pixels
    return square


def _upright(square: Pixels, orientation: int) -> Pixels:
    """Undo an EXIF orientation, as defined by TIFF tag 274."""
    if orientation == 1:
        return square
    if orientation >= 5:
        square = square.transpose(1, 0, 2)
    if orientation in (2, 3, 6, 7):
        square = square[:, ::-1]
    if orientation in (3, 4, 7, 8):
        square = square[::-1]
    return np.ascontiguousarray(square)
