"""Check the chunks of a PNG (PNG specification, third edition)."""

import struct
from collections.abc import Iterator

from product_classifier.errors import InvalidImage
from product_classifier.images.image_info import ImageInfo, read_orientation
from product_classifier.limits import PHOTO_SEGMENTS

SIGNATURE = b"\x89PNG\r\n\x1a\n"
DECODED_CHUNKS = {b"IHDR", b"PLTE", b"tRNS", b"IDAT", b"IEND"}
"""Chunks that pixels depend on; the decoder gets no other one."""
GRAY, COLOR, PALETTE, GRAY_ALPHA, COLOR_ALPHA = 0, 2, 3, 4, 6
_DEPTHS = {
    GRAY: (1, 2, 4, 8, 16),
    COLOR: (8, 16),
    PALETTE: (1, 2, 4, 8),
    GRAY_ALPHA: (8, 16),
    COLOR_ALPHA: (8, 16),
}
_CHANNELS = {GRAY: 1, COLOR: 3, PALETTE: 1, GRAY_ALPHA: 2, COLOR_ALPHA: 4}
_ANIMATION = {b"acTL", b"fcTL", b"fdAT"}

_FIXED_MS = 1.0
_NS_PER_BYTE_OF_ROWS, _NS_PER_BYTE = 3.5, 8.0
_NS_PER_PIXEL, _NS_PER_PIXEL_OF_ALPHA = 5.0, 12.0


def read_png(data: bytes) -> ImageInfo:
    """Check the chunks up to the end of the image; what follows is not read."""
    kinds: list[bytes] = []
    header, palette, transparent, orientation, end = b"", 0, False, None, 0
    for kind, start, end in chunks(data):
        if not kinds and (kind != b"IHDR" or end - start != 17):
            raise InvalidImage("the PNG does not begin with its header")
        _check_kind(kind, kinds)
        if kind == b"IEND" and end - start != 4:
            raise InvalidImage("the last chunk of the PNG is damaged")
        if kind == b"IHDR":
            header = data[start : end - 4]
        elif kind == b"PLTE":
            palette = end - 4 - start
        elif kind == b"tRNS":
            transparent = True
        elif kind == b"eXIf" and orientation is None:
            orientation = read_orientation(data[start : end - 4])
        if not kinds or kinds[-1] != kind:
            kinds.append(kind)
    if b"IDAT" not in kinds:
        raise InvalidImage("the PNG has no image data")
    return _info(header, palette, transparent, orientation or 1, end)


def chunks(data: bytes) -> Iterator[tuple[bytes, int, int]]:
    """Yield the type of each chunk, where its payload starts and where the next chunk starts, up to IEND."""
    at, end = len(SIGNATURE), len(data)
    for _ in range(PHOTO_SEGMENTS):
        length, kind = int.from_bytes(data[at : at + 4], "big"), data[at + 4 : at + 8]
        if at + 12 + length > end:
            raise InvalidImage("the PNG is truncated")
        yield kind, at + 8, at + 12 + length
        at += 12 + length
        if kind == b"IEND":
            return
    raise InvalidImage(f"the PNG has more than {PHOTO_SEGMENTS} chunks")


def _check_kind(kind: bytes, before: list[bytes]) -> None:
    """Refuse a chunk that is unknown and critical, repeated, or at a wrong place."""
    if kind in _ANIMATION:
        raise InvalidImage("an animated PNG is not accepted; send a still image")
    if not (kind.isascii() and kind.isalpha()):
        raise InvalidImage("the PNG is damaged: the type of a chunk is not four letters")
    if kind not in DECODED_CHUNKS:
        if kind[0] & 0x20 == 0:
            raise InvalidImage(f"the PNG has an unknown critical chunk {kind.decode()}; send a plain PNG")
        return
    repeated = kind in before and not (kind == b"IDAT" and before[-1] == b"IDAT")
    late = kind in (b"PLTE", b"tRNS") and b"IDAT" in before
    if repeated or late or (kind == b"PLTE" and b"tRNS" in before):
        raise InvalidImage(f"the PNG has a chunk {kind.decode()} more than once or at a wrong place")


def _info(header: bytes, palette: int, transparent: bool, orientation: int, end: int) -> ImageInfo:
    width, height, depth, color, compression, filtering, interlaced = struct.unpack(">IIBBBBB", header)
    if depth not in _DEPTHS.get(color, ()) or compression or filtering or interlaced > 1:
        raise InvalidImage(
            f"the PNG has color type {color}, depth {depth}, compression {compression}, filter {filtering} and"
            f" interlacing {interlaced}, which no PNG has together"
        )
    if (color == PALETTE) != (palette > 0) and color in (PALETTE, GRAY, GRAY_ALPHA):
        raise InvalidImage(f"the PNG of color type {color} has a palette of {palette} bytes")
    if palette % 3 or palette > 768:
        raise InvalidImage(f"the palette of the PNG has {palette} bytes; send 1 to 256 colors")
    channels = _CHANNELS[color]
    pixels, row_bytes = width * height, -(-width * channels * depth // 8) * height
    alpha = transparent or color in (GRAY_ALPHA, COLOR_ALPHA)
    ns = row_bytes * _NS_PER_BYTE_OF_ROWS + end * _NS_PER_BYTE
    ns += pixels * (_NS_PER_PIXEL_OF_ALPHA if alpha else _NS_PER_PIXEL) * (1.5 if interlaced else 1)
    memory = pixels * (4 + 3) + end + 4_000_000
    return ImageInfo("PNG", width, height, channels, orientation, end, _FIXED_MS + ns / 1e6, memory)
