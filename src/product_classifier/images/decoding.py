"""Decode photos to pixels; training and serving share the decoder, so equal bytes give equal pixels.

Accepted are still JPEG (gray, color, CMYK), PNG (any depth, palette or alpha, which is composited on white), WebP and
AVIF, up to the sizes in `limits`. EXIF orientation is applied. Animated, damaged or truncated files and other formats
are refused; bytes behind the picture are not read. JPEG is downscaled during DCT decoding, which saves most of the
time. WebP and AVIF are decoded in another process (`decoder_process`), which ends at the limits on time and memory.
"""

import io
import struct
import zlib
from typing import Any

import numpy as np
import simplejpeg

from product_classifier.errors import InvalidImage
from product_classifier.images import decoder_process, png_chunks
from product_classifier.images.headers import cut, read_header
from product_classifier.images.image_info import ImageInfo
from product_classifier.images.scaling import Pixels as Pixels  # noqa: PLC0414 - part of the interface
from product_classifier.images.scaling import composite_on_white, fit, trim, upright

DEFAULT_SIZE = 64
_STRIP_BYTES = 2**18
"""Pixels that are copied at once; one copy of a whole photo would double the memory to decode it."""
_IN_ANOTHER_PROCESS = {"WEBP", "AVIF"}
_DAMAGED = (OSError, SyntaxError, ValueError, EOFError, struct.error, zlib.error, IndexError, KeyError, TypeError)


def decode(data: bytes, size: int = DEFAULT_SIZE, info: ImageInfo | None = None, *, trimmed: bool = False) -> Pixels:
    """Return RGB pixels `[size, size, 3]`, scaled with the aspect ratio preserved and centered on white.

    Args:
        data: The encoded photo.
        size: Side of the square in pixels.
        info: Its header, if it was read before.
        trimmed: Whether to cut off a uniform border before scaling, see `scaling.trim`.

    Raises:
        InvalidImage: If the photo is not accepted.
    """
    info = info or read_header(data)
    data = cut(data, info)
    if info.format in _IN_ANOTHER_PROCESS:
        pixels, turned = decoder_process.decode(data, info, size, trimmed=trimmed)
        return upright(pixels, turned)
    if info.format == "PNG":
        pixels = _decode_png(data, info)
    elif info.channels == 4:
        pixels = _decode_cmyk(data, info, size)
    else:
        pixels = _decode_jpeg(data, info, size)
    return upright(fit(trim(pixels) if trimmed else pixels, size), info.orientation)


def _decode_jpeg(data: bytes, info: ImageInfo, size: int) -> Pixels:
    wide = info.width >= info.height
    try:
        height, width, *_ = simplejpeg.decode_jpeg_header(data)
        _check_decoder(info, width, height)
        pixels: Pixels = simplejpeg.decode_jpeg(
            data, "RGB", min_width=size if wide else 0, min_height=0 if wide else size
        )
    except ValueError as error:
        raise InvalidImage(f"the JPEG cannot be decoded: {str(error)[:80]}") from error
    return pixels


def _decode_cmyk(data: bytes, info: ImageInfo, size: int) -> Pixels:
    image = _open(data, info)
    image.draft("CMYK", (size, size))
    return _rgb(_load(image))


def _decode_png(data: bytes, info: ImageInfo) -> Pixels:
    image = _load(_open(_without_ancillary_chunks(data), info))
    if image.mode.startswith("I"):  # 16-bit gray; Pillow clips it instead of scaling
        gray = np.empty((image.height, image.width), np.uint8)
        for top, bottom in _strips(image):
            gray[top:bottom] = np.asarray(image.crop((0, top, image.width, bottom))) >> 8
        return np.repeat(gray[:, :, None], 3, axis=2)
    if image.mode not in ("RGBA", "LA", "PA") and "transparency" not in image.info:
        return _rgb(image)
    pixels = np.empty((image.height, image.width, 3), np.uint8)
    for top, bottom in _strips(image):
        part = image.crop((0, top, image.width, bottom))
        pixels[top:bottom] = composite_on_white(np.asarray(part if part.mode == "RGBA" else part.convert("RGBA")))
    return pixels


def _without_ancillary_chunks(data: bytes) -> bytes:
    """Return a PNG of the chunks that pixels depend on: a profile or a text can be a decompression bomb."""
    kept = [(start - 8, end) for kind, start, end in png_chunks.chunks(data) if kind in png_chunks.DECODED_CHUNKS]
    if len(png_chunks.SIGNATURE) + sum(end - start for start, end in kept) == len(data):
        return data
    return b"".join([png_chunks.SIGNATURE, *(data[start:end] for start, end in kept)])


def _open(data: bytes, info: ImageInfo) -> Any:
    """Return an image whose size Pillow has read and which is not decoded yet."""
    from PIL import Image  # noqa: PLC0415 - takes 0.1 s to import and is not needed for most JPEG photos

    try:
        image = Image.open(io.BytesIO(data), formats=[info.format])
    except _DAMAGED as error:
        raise InvalidImage(f"the {info.format} cannot be opened: {_reason(error)}") from error
    _check_decoder(info, image.width, image.height)
    return image


def _check_decoder(info: ImageInfo, width: int, height: int) -> None:
    if (width, height) != (info.width, info.height):
        raise InvalidImage(
            f"the {info.format} is {info.width}x{info.height} pixels by its header and {width}x{height} by the decoder"
        )


def _load(image: Any) -> Any:
    try:
        image.load()
    except _DAMAGED as error:
        raise InvalidImage(f"the {image.format} cannot be decoded: {_reason(error)}") from error
    return image


def _rgb(image: Any) -> Pixels:
    pixels = np.empty((image.height, image.width, 3), np.uint8)
    for top, bottom in _strips(image):
        part = image.crop((0, top, image.width, bottom))
        pixels[top:bottom] = np.asarray(part if part.mode == "RGB" else part.convert("RGB"))
    return pixels


def _strips(image: Any) -> list[tuple[int, int]]:
    rows = max(1, _STRIP_BYTES // (4 * image.width))
    return [(top, min(top + rows, image.height)) for top in range(0, image.height, rows)]


def _reason(error: Exception) -> str:
    text = str(error)
    return "it is damaged" if "<" in text else text[:80]  # Pillow quotes the address of an object
