"""What the structure of a photo says, and what decoding it costs."""

import struct
from dataclasses import dataclass

_EXIF_ENTRIES = 128
_ORIENTATION_TAG, _SHORT = 0x0112, 3


@dataclass(frozen=True, slots=True)
class ImageInfo:
    """Format, size in pixels before rotation, number of channels and EXIF orientation (1 is upright)."""

    format: str
    width: int
    height: int
    channels: int = 3
    orientation: int = 1
    length: int = 0
    """Bytes of the picture; what follows them is cut off."""
    decoding_ms: float = 0.0
    """Estimated CPU time to decode it on one core of 2020 or later."""
    decoding_bytes: int = 0
    """Estimated memory to decode it."""

    @property
    def pixels(self) -> int:
        """Width times height."""
        return self.width * self.height

    @property
    def megapixels(self) -> int:
        """Pixels in millions, rounded up."""
        return -(-self.pixels // 1_000_000)


def read_orientation(exif: bytes) -> int:
    """Return the orientation in a TIFF structure; 1 if it is absent or invalid."""
    order = {b"II": "<", b"MM": ">"}.get(exif[:2])
    if order is None or len(exif) < 8:
        return 1
    try:
        (first,) = struct.unpack_from(order + "I", exif, 4)
        (entries,) = struct.unpack_from(order + "H", exif, first)
        for index in range(min(entries, _EXIF_ENTRIES)):
            tag, kind, _, value = struct.unpack_from(order + "HHIH", exif, first + 2 + 12 * index)
            if tag == _ORIENTATION_TAG and kind == _SHORT:
                return value if 1 <= value <= 8 else 1
    except struct.error:  # invalid EXIF does not make a photo invalid
        return 1
    return 1
