"""Thumbnails of photos: small JPEG images with the aspect ratio of the photo."""

import simplejpeg

from product_classifier.images.decoding import decode
from product_classifier.images.headers import read_header

QUALITY = 85


def thumbnail(photo: bytes, size: int) -> bytes:
    """Return an upright JPEG whose longer side has at most `size` pixels, on white if it is transparent.

    Cost is bounded by the limits on photos, see `limits.PHOTO_DECODING_MS`; a JPEG is reduced while it is decoded.

    Args:
        photo: An accepted photo.
        size: Pixels of the longer side; a smaller photo is not enlarged.

    Raises:
        InvalidImage: If the photo is not accepted.
    """
    info = read_header(photo)
    longer = max(info.width, info.height)
    side = min(size, longer)
    square = decode(photo, side, info)
    width, height = (max(1, round(pixels * side / longer)) for pixels in (info.width, info.height))
    if info.orientation >= 5:  # turned by 90 degrees
        width, height = height, width
    top, left = (side - height) // 2, (side - width) // 2
    pixels = square[top : top + height, left : left + width].copy()
    return bytes(simplejpeg.encode_jpeg(pixels, quality=QUALITY))
