"""Check the structure of a photo before it is decoded, without image libraries.

The gateway has no image libraries. The checks are linear in the size of the photo, and strict: a marker, chunk or box
that could change what a decoder reads is known or refused. `ImageInfo.length` is where the picture ends; bytes behind
it are not part of the photo.
"""

from collections.abc import Callable, Mapping

from product_classifier.errors import InvalidImage
from product_classifier.images.avif_boxes import is_avif, read_avif
from product_classifier.images.image_info import ImageInfo
from product_classifier.images.jpeg_markers import read_jpeg
from product_classifier.images.png_chunks import SIGNATURE, read_png
from product_classifier.images.webp_chunks import is_webp, read_webp
from product_classifier.limits import PHOTO_BYTES, PHOTO_DECODING_BYTES, PHOTO_DECODING_MS, PHOTO_PIXELS

ACCEPTED = "send a JPEG, a PNG, a still WebP or AVIF"
_OTHER_FORMATS: tuple[tuple[bytes, str], ...] = (
    (b"GIF8", "GIF"),
    (b"BM", "BMP"),
    (b"II*\x00", "TIFF"),
    (b"MM\x00*", "TIFF"),
    (b"8BPS", "PSD"),
    (b"%PDF", "PDF"),
    (b"\x00\x00\x01\x00", "ICO"),
    (b"PK\x03\x04", "ZIP"),
    (b"\xff\x0a", "JPEG XL"),
    (b"\x00\x00\x00\x0cJXL ", "JPEG XL"),
)

_READERS: Mapping[str, Callable[[bytes], ImageInfo]] = {
    "JPEG": read_jpeg,
    "PNG": read_png,
    "WebP": read_webp,
    "AVIF": read_avif,
}


def read_header(data: bytes) -> ImageInfo:
    """Check all markers, chunks or boxes of a photo without decoding it.

    Raises:
        InvalidImage: If it is not a complete still image of an accepted format within the limits.
    """
    if not data:
        raise InvalidImage("the image is empty (0 bytes)")
    if len(data) > PHOTO_BYTES:
        raise InvalidImage(f"the image has {len(data)} bytes, more than {PHOTO_BYTES}")
    info = _reader(data)(data)
    _check_cost(info)
    return info


def photo_format(data: bytes) -> str | None:
    """Return the accepted format that data starts like, None if it is another or no photo."""
    if data.startswith(b"\xff\xd8"):
        return "JPEG"
    if data.startswith(SIGNATURE):
        return "PNG"
    if is_webp(data):
        return "WebP"
    return "AVIF" if is_avif(data) else None


def picture_bytes(data: bytes) -> bytes:
    """Return a checked photo without the bytes behind the picture, such as the video of a motion photo.

    Raises:
        InvalidImage: If it is not accepted, see `read_header`.
    """
    return cut(data, read_header(data))


def cut(data: bytes, info: ImageInfo) -> bytes:
    """Return the bytes of the picture that a header describes, without a copy if it is all of `data`."""
    return data if info.length == len(data) else data[: info.length]


def _reader(data: bytes) -> Callable[[bytes], ImageInfo]:
    kind = photo_format(data)
    if kind is None:
        raise InvalidImage(f"{_name_format(data)} is not accepted; {ACCEPTED}")
    return _READERS[kind]


def _name_format(data: bytes) -> str:
    for magic, name in _OTHER_FORMATS:
        if data.startswith(magic):
            return name
    if data[4:8] == b"ftyp":
        return "HEIC or another ISO media file"
    head = data[:512].lstrip(b"\xef\xbb\xbf \t\r\n").lower()
    if head.startswith((b"<svg", b"<?xml", b"<!doctype svg")):
        return "SVG"
    return "this data"


def _check_cost(info: ImageInfo) -> None:
    """Refuse a photo whose pixels, or estimated time or memory to decode, exceed the limits."""
    where = f"the {info.format} is {info.width}x{info.height} pixels"
    if info.width < 1 or info.height < 1:
        raise InvalidImage(f"{where}, which has no area")
    if info.pixels > PHOTO_PIXELS:
        raise InvalidImage(f"{where}, more than {PHOTO_PIXELS} in all; send it smaller")
    if info.decoding_ms > PHOTO_DECODING_MS:
        raise InvalidImage(
            f"{where} in {info.length} bytes, which take about {info.decoding_ms:.0f} ms to decode,"
            f" more than {PHOTO_DECODING_MS} ms; send it smaller or as a baseline JPEG"
        )
    if info.decoding_bytes > PHOTO_DECODING_BYTES:
        raise InvalidImage(
            f"{where}, which take {info.decoding_bytes / 1e6:.0f} MB to decode,"
            f" more than {PHOTO_DECODING_BYTES / 1e6:.0f} MB; send it smaller or as a baseline JPEG"
        )
