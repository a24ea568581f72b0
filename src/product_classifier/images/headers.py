"""Validate the structure of a photo before it is decoded."""

import re
import struct
from collections.abc import Iterator
from dataclasses import dataclass

from product_classifier.errors import InvalidImage
from product_classifier.limits import PHOTO_BYTES, PHOTO_PIXELS, PHOTO_SCANS, PHOTO_SEGMENTS, PHOTO_SIDE_PIXELS

_PNG_SIGNATURE = b"\x89PNG\r\n\x1a\n"
_MARKER = re.compile(rb"\xff[^\x00\xd0-\xd7\xff]")
_FRAMES = {0xC0, 0xC1, 0xC2}
_UNSUPPORTED_FRAMES = {0xC3, 0xC5, 0xC6, 0xC7, 0xC9, 0xCA, 0xCB, 0xCD, 0xCE, 0xCF}
_OTHER_FORMATS: tuple[tuple[bytes, str], ...] = (
    (b"GIF8", "GIF"),
    (b"BM", "BMP"),
    (b"II*\x00", "TIFF"),
    (b"MM\x00*", "TIFF"),
    (b"8BPS", "PSD"),
    (b"%PDF", "PDF"),
    (b"\x00\x00\x01\x00", "ICO"),
    (b"PK\x03\x04", "ZIP"),
)


@dataclass(frozen=True, slots=True)
class ImageInfo:
    """Format, size in pixels before rotation, number of channels and EXIF orientation (1 is upright)."""

    format: str
    width: int
    height: int
    channels: int = 3
    orientation: int = 1


def read_header(data: bytes) -> ImageInfo:
    """Check all markers or chunks of a photo without decoding it.

    Raises:
        InvalidImage: If it is not a complete still JPEG or PNG within the limits.
    """
    if not data:
        raise InvalidImage("the image is empty (0 bytes)")
    if len(data) > PHOTO_BYTES:
        raise InvalidImage(f"the image has {len(data)} bytes, more than {PHOTO_BYTES}")
    if data.startswith(b"\xff\xd8\xff"):
        return _read_jpeg(data)
    if data.startswith(_PNG_SIGNATURE):
        return _read_png(data)
    raise InvalidImage(f"{_name_format(data)} is not accepted; send a JPEG or a PNG")


def _name_format(data: bytes) -> str:
    for magic, name in _OTHER_FORMATS:
        if data.startswith(magic):
            return name
    if data[:4] == b"RIFF" and data[8:12] == b"WEBP":
        return "WEBP"
    if data[4:8] == b"ftyp":
        return "AVIF or HEIC"
    head = data[:512].lstrip(b"\xef\xbb\xbf \t\r\n").lower()
    if head.startswith((b"<svg", b"<?xml", b"<!doctype svg")):
        return "SVG"
    return "this data"


def _check_size(width: int, height: int) -> None:
    if width < 1 or height < 1:
        raise InvalidImage(f"the image is {width}x{height} pixels, which has no area")
    if max(width, height) > PHOTO_SIDE_PIXELS or width * height > PHOTO_PIXELS:
        raise InvalidImage(
            f"the image is {width}x{height} pixels, more than {PHOTO_SIDE_PIXELS} on a side or {PHOTO_PIXELS} in all"
        )


def _read_jpeg(data: bytes) -> ImageInfo:
    info, scans, orientation = None, 0, 1
    for marker, segment in _jpeg_segments(data):
        if marker in _UNSUPPORTED_FRAMES:
            raise InvalidImage(f"the JPEG has frame type {marker:#04x}; send a baseline or progressive JPEG")
        if marker in _FRAMES:
            if info is not None:
                raise InvalidImage("the JPEG has more than one frame")
            info = _read_frame(segment)
        elif marker == 0xE1 and segment.startswith(b"Exif\x00\x00"):
            orientation = _orientation(segment[6:])
        elif marker == 0xDA:
            scans += 1
    if info is None or not scans:
        raise InvalidImage("the JPEG has no image data")
    if scans > PHOTO_SCANS:
        raise InvalidImage(f"the JPEG has {scans} scans, more than {PHOTO_SCANS}")
    return ImageInfo("JPEG", info.width, info.height, info.channels, orientation)


def _read_frame(segment: bytes) -> ImageInfo:
    if len(segment) < 6:
        raise InvalidImage("the frame header of the JPEG is truncated")
    bits, height, width, channels = struct.unpack_from(">BHHB", segment)
    _check_size(width, height)
    if bits != 8 or channels not in (1, 3, 4):
        raise InvalidImage(f"the JPEG has {channels} channels of {bits} bits; send 1, 3 or 4 channels of 8 bits")
    return ImageInfo("JPEG", width, height, channels)


def _jpeg_segments(data: bytes) -> Iterator[tuple[int, bytes]]:
    """Yield marker and payload of each segment; the image must end where the data ends."""
    at, end = 2, len(data)
    for _ in range(PHOTO_SEGMENTS):
        while at < end and data[at] == 0xFF and data[at + 1 : at + 2] == b"\xff":
            at += 1
        if at + 2 > end or data[at] != 0xFF:
            raise InvalidImage("the JPEG is truncated or damaged" if at + 2 > end else "the JPEG is damaged")
        marker = data[at + 1]
        at += 2
        if marker == 0xD9:
            _check_trailing(data[at:], "JPEG")
            return
        if at + 2 > end:
            raise InvalidImage("the JPEG is truncated")
        length = int.from_bytes(data[at : at + 2], "big")
        if length < 2 or at + length > end:
            raise InvalidImage("the JPEG is truncated")
        yield marker, data[at + 2 : at + length]
        at += length
        if marker == 0xDA:
            found = _MARKER.search(data, at)
            if found is None:
                raise InvalidImage("the JPEG is truncated")
            at = found.start()
    raise InvalidImage(f"the JPEG has more than {PHOTO_SEGMENTS} segments")


def _check_trailing(rest: bytes, kind: str) -> None:
    """Accept padding and the additional JPEG images that phones append; refuse other data, such as archives."""
    rest = rest.strip(b"\x00\r\n ")
    if kind == "JPEG" and rest.startswith(b"\xff\xd8\xff"):
        for _ in _jpeg_segments(rest):
            pass
    elif rest:
        raise InvalidImage(f"{len(rest)} bytes follow the end of the {kind}; send the image alone")


def _orientation(tiff: bytes) -> int:
    """Return the EXIF orientation; 1 if it is absent or invalid."""
    order = {b"II": "<", b"MM": ">"}.get(tiff[:2])
    if order is None or len(tiff) < 8:
        return 1
    try:
        (first,) = struct.unpack_from(order + "I", tiff, 4)
        (entries,) = struct.unpack_from(order + "H", tiff, first)
        for index in range(min(entries, 128)):
            tag, kind, _, value = struct.unpack_from(order + "HHIH", tiff, first + 2 + 12 * index)
            if tag == 0x0112 and kind == 3:
                return value if 1 <= value <= 8 else 1
    except struct.error:  # invalid EXIF does not make a photo invalid
        return 1
    return 1


def _read_png(data: bytes) -> ImageInfo:
    info, orientation, pixels = None, 1, False
    for kind, payload in _png_chunks(data):
        if kind == b"acTL":
            raise InvalidImage("an animated PNG is not accepted; send a still image")
        if info is None:
            if kind != b"IHDR" or len(payload) != 13:
                raise InvalidImage("the PNG does not begin with its header")
            width, height = struct.unpack_from(">II", payload)
            _check_size(width, height)
            info = ImageInfo("PNG", width, height, {0: 1, 3: 1, 4: 2, 6: 4}.get(payload[9], 3))
        elif kind == b"eXIf":
            orientation = _orientation(payload)
        pixels = pixels or kind == b"IDAT"
    if info is None or not pixels:
        raise InvalidImage("the PNG has no image data")
    return ImageInfo("PNG", info.width, info.height, info.channels, orientation)


def _png_chunks(data: bytes) -> Iterator[tuple[bytes, bytes]]:
    at, end = len(_PNG_SIGNATURE), len(data)
    for _ in range(PHOTO_SEGMENTS):
        length, kind = int.from_bytes(data[at : at + 4], "big"), data[at + 4 : at + 8]
        if at + 12 + length > end:
            raise InvalidImage("the PNG is truncated")
        if kind == b"IEND":
            _check_trailing(data[at + 12 + length :], "PNG")
            return
        yield kind, data[at + 8 : at + 8 + length]
        at += 12 + length
    raise InvalidImage(f"the PNG has more than {PHOTO_SEGMENTS} chunks")
