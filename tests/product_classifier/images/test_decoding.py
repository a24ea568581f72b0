import contextlib
import io
import struct
import zlib

import numpy as np
import pytest
import simplejpeg
from PIL import Image, ImageOps

from product_classifier.errors import InvalidImage
from product_classifier.images import decoding
from product_classifier.images.headers import read_header


def pattern(width: int = 60, height: int = 40) -> np.ndarray:
    rows, columns = np.mgrid[0:height, 0:width]
    return np.stack([columns * 255 // width, rows * 255 // height, (rows + columns) % 256], axis=2).astype(np.uint8)


def encoded(kind: str, image: Image.Image | None = None, **options: object) -> bytes:
    target = io.BytesIO()
    (image or Image.fromarray(pattern())).save(target, kind, **options)
    return target.getvalue()


def png_chunk(kind: bytes, payload: bytes) -> bytes:
    return struct.pack(">I", len(payload)) + kind + payload + struct.pack(">I", zlib.crc32(kind + payload))


def png_of(width: int, height: int, *extra: bytes, pixels: bytes = b"\x00" * 10) -> bytes:
    header = png_chunk(b"IHDR", struct.pack(">IIBBBBB", width, height, 8, 2, 0, 0, 0))
    body = png_chunk(b"IDAT", zlib.compress(pixels))
    return b"\x89PNG\r\n\x1a\n" + header + b"".join(extra) + body + png_chunk(b"IEND", b"")


def jpeg_with_size(width: int, height: int) -> bytes:
    data = bytearray(encoded("JPEG"))
    at = data.index(b"\xff\xc0") + 5
    data[at : at + 4] = struct.pack(">HH", height, width)
    return bytes(data)


SECOND_FRAME = b"\xff\xc0\x00\x0b\x08\x00\x08\x00\x08\x01\x01\x11\x00"
UPSIDE_DOWN = Image.fromarray(pattern()[::-1])
TEXT_BOMB = png_chunk(b"zTXt", b"a\x00\x00" + zlib.compress(b"x" * 70_000_000))
PROFILE_BOMB = png_chunk(b"iCCP", b"a\x00\x00" + zlib.compress(b"x" * 70_000_000))

REFUSED = {
    "nothing": (b"", "empty"),
    "text": (b"hello", "not accepted"),
    "only a JPEG's first bytes": (b"\xff\xd8\xff", "JPEG"),
    "JPEG cut in its pixels": (encoded("JPEG")[:-40], "truncated"),
    "JPEG cut in its header": (encoded("JPEG")[:60], "truncated"),
    "JPEG without pixels": (b"\xff\xd8\xff\xd9", "no image data"),
    "JPEG with garbage for pixels": (
        encoded("JPEG")[: encoded("JPEG").index(b"\xff\xda") + 14] + b"\x01\xff\xd9",
        "cannot be decoded",
    ),
    "JPEG wider than its pixels": (jpeg_with_size(5000, 10), "cannot be decoded"),
    "JPEG of too many pixels": (jpeg_with_size(4096, 4096), "4096x4096"),
    "JPEG of 4 gigapixels": (jpeg_with_size(65500, 65500), "65500x65500"),
    "JPEG without height": (jpeg_with_size(10, 0), "no area"),
    "JPEG with a second frame": (encoded("JPEG").replace(b"\xff\xda", SECOND_FRAME + b"\xff\xda", 1), "one frame"),
    "JPEG of 12 bits": (encoded("JPEG").replace(b"\xff\xc0\x00\x11\x08", b"\xff\xc1\x00\x11\x0c"), "12 bits"),
    "lossless JPEG": (encoded("JPEG").replace(b"\xff\xc0", b"\xff\xc3", 1), "frame type"),
    "arithmetic JPEG": (encoded("JPEG").replace(b"\xff\xc0", b"\xff\xc9", 1), "frame type"),
    "JPEG with endless segments": (b"\xff\xd8" + b"\xff\xe1\x00\x02" * 5000 + b"\xff\xd9", "segments"),
    "JPEG behind other bytes": (b"GIF89a" + encoded("JPEG"), "GIF"),
    "too many bytes": (encoded("JPEG") + b"\x00" * 8 * 2**20, "more than"),
    "PNG signature alone": (b"\x89PNG\r\n\x1a\n", "truncated"),
    "PNG cut short": (encoded("PNG")[:-30], "truncated"),
    "PNG with a flipped bit": (encoded("PNG")[:60] + b"\xff" + encoded("PNG")[61:], "cannot be"),
    "PNG with few pixels": (png_of(50, 50), "cannot be decoded"),
    "PNG of 10 gigapixels": (png_of(100_000, 100_000), "100000x100000"),
    "PNG without area": (png_of(0, 10), "no area"),
    "PNG without header": (b"\x89PNG\r\n\x1a\n" + png_chunk(b"IEND", b"") + b"", "begin with its header"),
    "PNG that begins with its pixels": (
        b"\x89PNG\r\n\x1a\n" + png_chunk(b"IDAT", b"") * 2 + png_chunk(b"IEND", b""),
        "begin with its header",
    ),
    "PNG with endless chunks": (png_of(4, 4, *[png_chunk(b"tEXt", b"a\x00b")] * 5000), "chunks"),
    "animated PNG": (encoded("PNG", save_all=True, append_images=[UPSIDE_DOWN]), "animated"),
    "GIF": (encoded("GIF"), "GIF is not accepted"),
    "animated GIF": (encoded("GIF", save_all=True, append_images=[UPSIDE_DOWN]), "GIF is not accepted"),
    "animated WEBP": (encoded("WEBP", save_all=True, append_images=[UPSIDE_DOWN]), "animated WEBP"),
    "animated AVIF": (encoded("AVIF", save_all=True, append_images=[UPSIDE_DOWN]), "animated AVIF"),
    "WEBP cut short": (encoded("WEBP")[:-9], "truncated"),
    "AVIF cut short": (encoded("AVIF")[:-9], "truncated"),
    "BMP": (encoded("BMP"), "BMP is not accepted"),
    "TIFF": (encoded("TIFF"), "TIFF is not accepted"),
    "ICO": (encoded("ICO"), "ICO is not accepted"),
    "SVG": (b'<svg xmlns="http://www.w3.org/2000/svg"/>', "SVG is not accepted"),
    "SVG with a prologue": (b'\xef\xbb\xbf<?xml version="1.0"?><svg/>', "SVG is not accepted"),
    "HEIC": (b"\x00\x00\x00\x18ftypheic" + b"\x00" * 30, "HEIC"),
    "PDF": (b"%PDF-1.7", "PDF is not accepted"),
}


@pytest.mark.parametrize(("data", "reason"), REFUSED.values(), ids=REFUSED.keys())
def test_anything_but_a_still_photo_is_refused_with_its_reason(data: bytes, reason: str) -> None:
    with pytest.raises(InvalidImage, match=reason) as refusal:
        decoding.decode(data, 32)

    assert len(str(refusal.value)) < 200


def test_the_header_check_alone_refuses_invalid_structure() -> None:
    by_structure = [data for data, reason in REFUSED.values() if not reason.startswith("cannot be")]
    accepted = []
    for data in by_structure:
        try:
            accepted.append(read_header(data))
        except InvalidImage:
            continue

    assert [] == accepted


@pytest.mark.parametrize("kind", ["JPEG", "PNG"])
@pytest.mark.parametrize("orientation", range(1, 9))
def test_exif_orientation_is_applied(kind: str, orientation: int) -> None:
    blocks = np.kron(np.random.default_rng(1).integers(0, 256, (8, 8, 3), np.uint8), np.ones((8, 8, 1), np.uint8))
    exif = Image.Exif()
    exif[0x0112] = orientation
    data = encoded(kind, Image.fromarray(blocks), exif=exif)

    upright = np.asarray(ImageOps.exif_transpose(Image.open(io.BytesIO(data))).convert("RGB"))
    assert np.abs(upright.astype(int) - decoding.decode(data, 64)).max() <= 2


@pytest.mark.parametrize("exif", [b"Exif\x00\x00", b"Exif\x00\x00II*\x00\xff\xff\xff\xff", b"Exif\x00\x00XX"])
def test_invalid_exif_is_ignored(exif: bytes) -> None:
    plain = encoded("JPEG")
    data = plain[:2] + b"\xff\xe1" + struct.pack(">H", len(exif) + 2) + exif + plain[2:]

    assert np.array_equal(decoding.decode(plain, 32), decoding.decode(data, 32))


@pytest.mark.parametrize("mode", ["1", "L", "LA", "P", "RGB", "RGBA", "I;16"])
def test_every_png_mode_is_decoded(mode: str) -> None:
    gray = np.full((20, 20), 200, np.uint8)
    image = Image.fromarray(gray.astype(np.uint16) * 257) if mode == "I;16" else Image.fromarray(gray).convert(mode)

    expected = 200 if mode != "1" else decoding.decode(encoded("PNG", image), 20)[0, 0, 0]
    assert {expected} == set(decoding.decode(encoded("PNG", image), 20).ravel()) or mode == "1"


def test_sixteen_bit_color_is_scaled_not_clipped() -> None:
    row = b"\x00" + struct.pack(">HHH", 0x8000, 0x4000, 0xFFFF) * 4
    header = png_chunk(b"IHDR", struct.pack(">IIBBBBB", 4, 4, 16, 2, 0, 0, 0))
    data = b"\x89PNG\r\n\x1a\n" + header + png_chunk(b"IDAT", zlib.compress(row * 4)) + png_chunk(b"IEND", b"")

    assert [0x80, 0x40, 0xFF] == decoding.decode(data, 4)[0, 0].tolist()


def test_transparency_is_composited_on_white() -> None:
    glass = np.zeros((10, 10, 4), np.uint8)
    glass[:, 5:, 3] = 128

    pixels = decoding.decode(encoded("PNG", Image.fromarray(glass)), 10)
    assert ([255] * 3, [127] * 3) == (pixels[0, 0].tolist(), pixels[0, 9].tolist())


def test_a_transparent_palette_color_is_composited_on_white() -> None:
    image = Image.new("P", (8, 8), 0)
    image.putpalette([10, 20, 30, 40, 50, 60])

    assert [255] * 3 == decoding.decode(encoded("PNG", image, transparency=0), 8)[0, 0].tolist()


def test_a_cmyk_jpeg_is_converted_to_rgb() -> None:
    image = Image.new("CMYK", (40, 40), (0, 255, 255, 0))

    red, green, blue = decoding.decode(encoded("JPEG", image), 20)[10, 10].tolist()
    assert red > 200
    assert max(green, blue) < 60


@pytest.mark.parametrize("options", [{"progressive": True}, {"subsampling": 0}, {"quality": 30}, {"optimize": True}])
def test_all_common_jpegs_are_decoded(options: dict[str, int]) -> None:
    assert (48, 48, 3) == decoding.decode(encoded("JPEG", **options), 48).shape


def test_a_gray_jpeg_has_three_equal_channels() -> None:
    pixels = decoding.decode(encoded("JPEG", Image.fromarray(pattern()).convert("L")), 32)

    assert np.array_equal(pixels[..., 0], pixels[..., 2])


def test_a_profile_or_text_that_is_a_bomb_is_not_decompressed() -> None:
    plain = png_of(4, 4, pixels=b"\x00" * 52)

    assert np.array_equal(
        decoding.decode(plain, 8), decoding.decode(png_of(4, 4, TEXT_BOMB, PROFILE_BOMB, pixels=b"\x00" * 52), 8)
    )


@pytest.mark.parametrize(("width", "height"), [(1, 1), (1, 300), (300, 1), (4000, 2), (33, 77), (500, 500)])
def test_any_aspect_ratio_is_padded_with_white(width: int, height: int) -> None:
    pixels = decoding.decode(simplejpeg.encode_jpeg(np.zeros((height, width, 3), np.uint8)), 64)

    dark = pixels[..., 0] < 128
    assert (64, 64, 3) == pixels.shape
    assert dark.any()
    assert dark.all() == (width == height)


def test_scaled_decoding_approximates_full_decoding() -> None:
    data = encoded("JPEG", Image.fromarray(pattern(500, 500)), quality=95)
    full = np.asarray(Image.open(io.BytesIO(data)).convert("RGB").resize((64, 64), Image.Resampling.BOX))

    assert np.abs(full.astype(int) - decoding.decode(data, 64)).mean() < 3


def test_the_header_contains_format_and_size() -> None:
    found = read_header(encoded("PNG")), read_header(encoded("JPEG"))

    assert [("PNG", 60, 40), ("JPEG", 60, 40)] == [(info.format, info.width, info.height) for info in found]


def test_flipped_bits_are_refused_or_decoded_but_never_crash() -> None:
    rng = np.random.default_rng(5)
    shapes = set()
    for kind in ("JPEG", "PNG"):
        good = encoded(kind)
        for _ in range(300):
            data = bytearray(good)
            data[rng.integers(len(data))] ^= 1 << rng.integers(8)
            with contextlib.suppress(InvalidImage):
                shapes.add(decoding.decode(bytes(data), 16).shape)

    assert {(16, 16, 3)} == shapes
