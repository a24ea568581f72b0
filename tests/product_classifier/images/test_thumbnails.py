"""Thumbnails keep the aspect ratio and the orientation of a photo of any accepted format."""

import io

import numpy as np
import pytest
from PIL import Image

from product_classifier.errors import InvalidImage
from product_classifier.images.thumbnails import thumbnail

RED, BLUE = (220, 20, 20), (20, 20, 220)


def photo(width: int, height: int, kind: str = "JPEG", orientation: int = 1) -> bytes:
    """Return a photo whose left half is red and whose right half is blue."""
    pixels = np.full((height, width, 3), RED, np.uint8)
    pixels[:, width // 2 :] = BLUE
    exif = Image.Exif()
    exif[0x0112] = orientation
    buffer = io.BytesIO()
    Image.fromarray(pixels).save(buffer, kind, exif=exif)
    return buffer.getvalue()


@pytest.mark.parametrize("kind", ["JPEG", "PNG", "WEBP"])
@pytest.mark.parametrize(
    ("size", "expected"),
    [((640, 320), (96, 48)), ((320, 640), (48, 96)), ((50, 30), (50, 30)), ((900, 3), (96, 1)), ((96, 96), (96, 96))],
)
def test_a_thumbnail_has_the_aspect_ratio_of_the_photo(
    kind: str, size: tuple[int, int], expected: tuple[int, int]
) -> None:
    image = Image.open(io.BytesIO(thumbnail(photo(*size, kind), 96)))

    assert ("JPEG", expected) == (image.format, image.size)
    if min(expected) > 20:
        width, height = expected
        assert np.abs(np.subtract(image.getpixel((4, height // 2)), RED)).max() < 40
        assert np.abs(np.subtract(image.getpixel((width - 4, height // 2)), BLUE)).max() < 40


def test_a_turned_photo_is_upright() -> None:
    image = Image.open(io.BytesIO(thumbnail(photo(640, 320, orientation=6), 96)))

    assert (48, 96) == image.size
    assert np.abs(np.subtract(image.getpixel((24, 4)), RED)).max() < 40


def test_what_is_no_photo_is_refused() -> None:
    with pytest.raises(InvalidImage):
        thumbnail(b"<svg/>", 96)
