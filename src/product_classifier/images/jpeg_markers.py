"""Check the markers of a JPEG (ITU-T T.81, annex B)."""

import re
import struct
from dataclasses import dataclass, field

from product_classifier.errors import InvalidImage
from product_classifier.images.image_info import ImageInfo, read_orientation
from product_classifier.limits import PHOTO_SCANS, PHOTO_SEGMENTS

EOI, SOS, DRI, APP1 = 0xD9, 0xDA, 0xDD, 0xE1
BASELINE, EXTENDED, PROGRESSIVE = 0xC0, 0xC1, 0xC2
_FRAMES = {BASELINE, EXTENDED, PROGRESSIVE}
_OTHER_FRAMES = {0xC3, 0xC5, 0xC6, 0xC7, 0xC9, 0xCA, 0xCB, 0xCD, 0xCE, 0xCF, 0xDE}
_ACCEPTED = {*_FRAMES, SOS, DRI, 0xC4, 0xDB, 0xFE, *range(0xE0, 0xF0)}
"""With tables, which the decoder checks, applications' segments and comments."""

_NEXT = re.compile(rb"\xff++([^\xff])", re.DOTALL)
_IN_SCAN = re.compile(rb"\xff[^\x00\xff]", re.DOTALL)
_IN_SCAN_WITH_RESTARTS = re.compile(rb"\xff[^\x00\xd0-\xd7\xff]", re.DOTALL)

# Measured with libjpeg-turbo: pages of noise, single colors, and scans without data; see tests.
_FIXED_MS = 0.5
_NS_PER_BYTE, _NS_PER_COEFFICIENT = 11.0, 0.45
_NS_PER_BYTE_IN_SCANS, _NS_PER_COEFFICIENT_IN_SCANS = 26.0, 1.3


@dataclass(slots=True)
class _Frame:
    """Size and components of the frame, and what its scans hold."""

    width: int
    height: int
    progressive: bool
    coefficients: dict[int, int]
    """Number of DCT coefficients by component."""
    scanned: set[int] = field(default_factory=set)
    scans: int = 0
    several_scans: bool = False
    read: float = 0.0
    """Coefficients that all scans together visit."""

    def add_scan(self, segment: bytes) -> None:
        count = segment[0] if segment else 0
        if not 1 <= count <= 4 or len(segment) != 4 + 2 * count:
            raise InvalidImage("a scan header of the JPEG is damaged")
        components = segment[1 : 1 + 2 * count : 2]
        first, last = segment[-3], segment[-2]
        if len(set(components)) != count or not self.coefficients.keys() >= set(components):
            raise InvalidImage("a scan of the JPEG has components that its frame does not have")
        if first > last or last > 63 or (not self.progressive and (first, last) != (0, 63)):
            raise InvalidImage(f"a scan of the JPEG has coefficients {first} to {last}; send a baseline JPEG")
        if not self.progressive and self.scanned & set(components):
            raise InvalidImage("the JPEG has more than one scan of a component; send a baseline JPEG")
        self.scanned |= set(components)
        self.scans += 1
        self.several_scans = self.several_scans or self.progressive or count < len(self.coefficients)
        self.read += sum(self.coefficients[one] for one in components) * (last - first + 1) / 64
        if self.scans > PHOTO_SCANS:
            raise InvalidImage(f"the JPEG has more than {PHOTO_SCANS} scans; send a baseline JPEG")


@dataclass(slots=True)
class _Image:
    """What the segments so far say."""

    frame: _Frame | None = None
    orientation: int | None = None
    restarts: bool = False
    """Whether a restart interval is in force: only then may a scan hold restart markers."""

    def add(self, marker: int, data: bytes, start: int, end: int) -> None:
        """Take the payload of a segment."""
        if marker in _FRAMES:
            if self.frame is not None:
                raise InvalidImage("the JPEG has more than one frame")
            self.frame = _read_frame(marker, data[start:end])
        elif marker == SOS:
            if self.frame is None:
                raise InvalidImage("the JPEG has a scan before its frame")
            self.frame.add_scan(data[start:end])
        elif marker == DRI:
            if end - start != 2:
                raise InvalidImage("the restart interval of the JPEG is damaged")
            self.restarts = data[start:end] != b"\x00\x00"
        elif marker == APP1 and self.orientation is None and data.startswith(b"Exif\x00\x00", start):
            self.orientation = read_orientation(data[start + 6 : end])


def read_jpeg(data: bytes) -> ImageInfo:
    """Check the segments up to the end of the image; what follows is not read."""
    image, at = _Image(), 2
    for _ in range(PHOTO_SEGMENTS):
        marker, at = _next_marker(data, at)
        if marker == EOI:
            return _info(image.frame, at, image.orientation or 1)
        _check_marker(marker)
        length = int.from_bytes(data[at : at + 2], "big")
        if length < 2 or at + length > len(data):
            raise InvalidImage("the JPEG is truncated")
        start, at = at + 2, at + length
        image.add(marker, data, start, at)
        if marker == SOS:
            found = (_IN_SCAN_WITH_RESTARTS if image.restarts else _IN_SCAN).search(data, at)
            if found is None:
                raise InvalidImage("the JPEG is truncated")
            at = found.start()
    raise InvalidImage(f"the JPEG has more than {PHOTO_SEGMENTS} segments")


def _check_marker(marker: int) -> None:
    if marker in _OTHER_FRAMES:
        raise InvalidImage(f"the JPEG has frame type {marker:#04x}; send a baseline or progressive JPEG")
    if marker not in _ACCEPTED:
        raise InvalidImage(f"the JPEG has a marker {marker:#04x} that is not accepted here; send a baseline JPEG")


def _next_marker(data: bytes, at: int) -> tuple[int, int]:
    """Return the marker at a position, which fill bytes may precede, and the position behind it."""
    found = _NEXT.match(data, at)
    if found is None:
        raise InvalidImage(
            "the JPEG is damaged" if data[at : at + 1] not in (b"", b"\xff") else "the JPEG is truncated"
        )
    return found[1][0], found.end()


def _read_frame(marker: int, segment: bytes) -> _Frame:
    if len(segment) < 6:
        raise InvalidImage("the frame header of the JPEG is truncated")
    bits, height, width, count = struct.unpack_from(">BHHB", segment)
    if bits != 8 or count not in (1, 3, 4):
        raise InvalidImage(f"the JPEG has {count} channels of {bits} bits; send 1, 3 or 4 channels of 8 bits")
    if len(segment) != 6 + 3 * count:
        raise InvalidImage("the frame header of the JPEG is damaged")
    components = [(segment[at], segment[at + 1] >> 4, segment[at + 1] & 15) for at in range(6, len(segment), 3)]
    if len({name for name, _, _ in components}) != count or not all(
        1 <= h <= 4 and 1 <= v <= 4 for _, h, v in components
    ):
        raise InvalidImage("the frame header of the JPEG is damaged")
    largest_h, largest_v = max(h for _, h, _ in components), max(v for _, _, v in components)
    columns, rows = -(-width // (8 * largest_h)), -(-height // (8 * largest_v))
    coefficients = {name: 64 * columns * h * rows * v for name, h, v in components}
    return _Frame(width, height, marker == PROGRESSIVE, coefficients)


def _info(frame: _Frame | None, end: int, orientation: int) -> ImageInfo:
    if frame is None or not frame.scans:
        raise InvalidImage("the JPEG has no image data")
    if frame.scanned != frame.coefficients.keys():
        raise InvalidImage("the JPEG has no image data for one of its components")
    if frame.several_scans:
        ns = frame.read * _NS_PER_COEFFICIENT_IN_SCANS + end * _NS_PER_BYTE_IN_SCANS
        memory = 2 * sum(frame.coefficients.values())  # all coefficients are kept until the last scan
    else:
        ns = frame.read * _NS_PER_COEFFICIENT + end * _NS_PER_BYTE
        memory = 0
    channels = len(frame.coefficients)
    return ImageInfo(
        "JPEG", frame.width, frame.height, channels, orientation, end, _FIXED_MS + ns / 1e6, memory + 3_000_000
    )
