"""Check the chunks of a WebP (RFC 9649)."""

import struct
from dataclasses import dataclass, field

from product_classifier.errors import InvalidImage
from product_classifier.images.image_info import ImageInfo, read_orientation

_IMAGES = {b"VP8 ", b"VP8L"}
_IGNORED = {b"ICCP", b"XMP ", b"C2PA"}
_ANIMATION = 0x02
_HEAD_BYTES = 10

_FIXED_MS = 6.0
_NS_PER_PIXEL, _NS_PER_PIXEL_OF_ALPHA = 14.0, 8.0
_NS_PER_BYTE = {b"VP8 ": 38.0, b"VP8L": 14.0}


def is_webp(data: bytes) -> bool:
    """Return whether data begins as a WebP."""
    return data[:4] == b"RIFF" and data[8:12] == b"WEBP"


@dataclass(slots=True)
class _Image:
    """What the chunks so far say."""

    kinds: list[bytes] = field(default_factory=list)
    canvas: tuple[int, int] | None = None
    size: tuple[int, int] | None = None
    coding: bytes = b""
    alpha: bool = False
    orientation: int = 1

    def add(self, kind: bytes, payload: bytes) -> None:
        """Take the payload of a chunk, of image data the beginning."""
        _check_kind(kind, self.kinds)
        self.kinds.append(kind)
        if kind == b"VP8X":
            self.canvas = _read_canvas(payload)
        elif kind in _IMAGES:
            self.coding = kind
            self.size, has_alpha = (_read_lossy if kind == b"VP8 " else _read_lossless)(payload)
            self.alpha = has_alpha or b"ALPH" in self.kinds
        elif kind == b"EXIF":
            self.orientation = read_orientation(payload.removeprefix(b"Exif\x00\x00"))


def read_webp(data: bytes) -> ImageInfo:
    """Check the chunks up to the length in the RIFF header; what follows is not read."""
    end = 8 + int.from_bytes(data[4:8], "little")
    if end % 2 or end > len(data) or end < 20:
        raise InvalidImage("the WEBP is truncated" if end > len(data) else "the length in the WEBP is damaged")
    image, at = _Image(), 12
    while at < end:  # every chunk is accepted once, so that there are few
        kind, length = data[at : at + 4], int.from_bytes(data[at + 4 : at + 8], "little")
        start, at = at + 8, at + 8 + length + length % 2
        if at > end:
            raise InvalidImage("the WEBP is truncated")
        image.add(kind, data[start : start + (min(length, _HEAD_BYTES) if kind in _IMAGES else length)])
    if image.size is None:
        raise InvalidImage("the WEBP has no image data")
    if image.canvas not in (None, image.size):
        raise InvalidImage(f"the WEBP is {_by(image.canvas)} pixels, but its image is {_by(image.size)}")
    pixels, channels = image.size[0] * image.size[1], 4 if image.alpha else 3
    ns = pixels * (_NS_PER_PIXEL + (_NS_PER_PIXEL_OF_ALPHA if image.alpha else 0)) + end * _NS_PER_BYTE[image.coding]
    memory = pixels * (channels + 3) + end + 4_000_000
    return ImageInfo("WEBP", *image.size, channels, image.orientation, end, _FIXED_MS + ns / 1e6, memory)


def _by(size: tuple[int, int] | None) -> str:
    return "x".join(map(str, size or ()))


def _check_kind(kind: bytes, before: list[bytes]) -> None:
    """Refuse a chunk that is unknown, repeated, or at a wrong place."""
    if kind in (b"ANIM", b"ANMF"):
        raise InvalidImage("an animated WEBP is not accepted; send a still image")
    has_image = not _IMAGES.isdisjoint(before)
    if kind == b"VP8X":
        wrong = bool(before)
    elif kind in _IMAGES:
        wrong = has_image or (bool(before) and before[0] != b"VP8X") or (kind == b"VP8L" and b"ALPH" in before)
    elif kind in _IGNORED or kind in (b"EXIF", b"ALPH"):
        wrong = kind in before or not before or before[0] != b"VP8X" or (kind == b"ALPH" and has_image)
    else:
        raise InvalidImage(f"the WEBP has an unknown chunk {kind!a}; send it without")
    if wrong:
        raise InvalidImage(f"the WEBP has a chunk {kind.decode().strip()} more than once or at a wrong place")


def _read_canvas(payload: bytes) -> tuple[int, int]:
    if len(payload) != 10:
        raise InvalidImage("the header of the WEBP is damaged")
    if payload[0] & _ANIMATION:
        raise InvalidImage("an animated WEBP is not accepted; send a still image")
    return int.from_bytes(payload[4:7], "little") + 1, int.from_bytes(payload[7:10], "little") + 1


def _read_lossy(payload: bytes) -> tuple[tuple[int, int], bool]:
    if len(payload) < 10 or payload[0] & 1 or payload[3:6] != b"\x9d\x01\x2a":
        raise InvalidImage("the image data of the WEBP does not begin with a key frame")
    width, height = struct.unpack_from("<HH", payload, 6)
    return (width & 0x3FFF, height & 0x3FFF), False


def _read_lossless(payload: bytes) -> tuple[tuple[int, int], bool]:
    if len(payload) < 5 or payload[0] != 0x2F or payload[4] >> 5:
        raise InvalidImage("the lossless image data of the WEBP is damaged")
    bits = int.from_bytes(payload[1:5], "little")
    return ((bits & 0x3FFF) + 1, (bits >> 14 & 0x3FFF) + 1), bool(bits >> 28 & 1)
