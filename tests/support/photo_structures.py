"""Photos whose markers, chunks or boxes are repeated, missing, unknown or out of order."""

import io
import struct
import zlib
from collections.abc import Sequence

import numpy as np
from hypothesis import strategies as st
from PIL import Image

PNG_SIGNATURE = b"\x89PNG\r\n\x1a\n"
TAILS = {
    "zeros": b"\x00" * 300,
    "archive": b"PK\x03\x04" + b"x" * 60,
    "page": b"<script>alert(1)</script>",
    "video of a motion photo": b"\x00\x00\x00\x18ftypmp42\x00\x00\x00\x00mp42isom\x00\x00\x01\x00mdat" + b"v" * 248,
    "trailer of Samsung": b"\x00\x00\x01\x0a\x08\x00\x00\x00Image_UTC_Data1456176000000SEFHe\x00\x00\x00SEFT",
    "comment of a CDN": b"<!-- cached 2026-11-02 -->",
    "fill bytes": b"\xff" * 200,
    "ends of images": b"\xff\xd8\xff\xd9" * 50,
}


def encode(kind: str, width: int = 48, height: int = 32, mode: str = "RGB", **options: object) -> bytes:
    """Return an encoded photo of a gradient."""
    rows, columns = np.mgrid[0:height, 0:width]
    channels = [columns * 255 // width, rows * 255 // height, (rows + columns) % 256]
    image = Image.fromarray(np.stack(channels, axis=2).astype(np.uint8)).convert(mode)
    target = io.BytesIO()
    image.save(target, kind, **options)
    return target.getvalue()


def photos() -> dict[str, bytes]:
    """Return one valid photo per format and variant."""
    return {
        "JPEG": encode("JPEG"),
        "progressive JPEG": encode("JPEG", progressive=True),
        "gray JPEG": encode("JPEG", mode="L"),
        "CMYK JPEG": encode("JPEG", mode="CMYK"),
        "PNG": encode("PNG"),
        "PNG with alpha": encode("PNG", mode="RGBA"),
        "PNG with a palette": encode("PNG", mode="P"),
        "WEBP": encode("WEBP"),
        "WEBP with alpha": encode("WEBP", mode="RGBA", exif=Image.Exif()),
        "lossless WEBP": encode("WEBP", lossless=True),
        "AVIF": encode("AVIF", speed=10),
        "AVIF with alpha": encode("AVIF", mode="RGBA", speed=10),
    }


def segment(marker: int, payload: bytes) -> bytes:
    """Return a segment of a JPEG."""
    return bytes([0xFF, marker]) + struct.pack(">H", len(payload) + 2) + payload


def png_chunk(kind: bytes, payload: bytes) -> bytes:
    """Return a chunk of a PNG."""
    return struct.pack(">I", len(payload)) + kind + payload + struct.pack(">I", zlib.crc32(kind + payload))


def png_header(width: int, height: int, depth: int = 8, color: int = 2, interlaced: int = 0) -> bytes:
    """Return the IHDR chunk of a PNG."""
    return png_chunk(b"IHDR", struct.pack(">IIBBBBB", width, height, depth, color, 0, 0, interlaced))


def flat_png(width: int, height: int, color: int = 2, depth: int = 8, interlaced: int = 0) -> bytes:
    """Return a PNG of one color, which compresses a thousandfold."""
    channels = {0: 1, 2: 3, 3: 1, 4: 2, 6: 4}[color]

    def rows(columns: int, lines: int) -> int:
        return (1 + -(-columns * channels * depth // 8)) * lines if columns and lines else 0

    if interlaced:
        passes = ((8, 8, 0, 0), (8, 8, 4, 0), (4, 8, 0, 4), (4, 4, 2, 0), (2, 4, 0, 2), (2, 2, 1, 0), (1, 2, 0, 1))
        size = sum(rows(-(-(width - x) // dx), -(-(height - y) // dy)) for dx, dy, x, y in passes)
    else:
        size = rows(width, height)
    compressor = zlib.compressobj(1)
    parts = [compressor.compress(b"\x00" * min(1 << 20, size - start)) for start in range(0, size, 1 << 20)]
    palette = png_chunk(b"PLTE", b"\x01\x02\x03") if color == 3 else b""
    data = png_chunk(b"IDAT", b"".join([*parts, compressor.flush()]))
    return (
        PNG_SIGNATURE + png_header(width, height, depth, color, interlaced) + palette + data + png_chunk(b"IEND", b"")
    )


def split(data: bytes) -> list[bytes]:
    """Return the pieces of a valid photo, of which the first begins it: segments, chunks or boxes."""
    if data.startswith(b"\xff\xd8"):
        return _jpeg_pieces(data)
    if data.startswith(PNG_SIGNATURE):
        return _sized_pieces(data, 8, lambda at: 12 + int.from_bytes(data[at : at + 4], "big"))
    if data.startswith(b"RIFF"):
        return _sized_pieces(data, 12, lambda at: 8 + -(-int.from_bytes(data[at + 4 : at + 8], "little") // 2) * 2)
    return _sized_pieces(data, 0, lambda at: int.from_bytes(data[at : at + 4], "big"))


def join(pieces: Sequence[bytes]) -> bytes:
    """Return the photo of some pieces; the length in the header of a WebP is that of the pieces."""
    data = b"".join(pieces)
    if data.startswith(b"RIFF"):
        return b"RIFF" + struct.pack("<I", max(len(data) - 8, 0)) + data[8:]
    return data


def _sized_pieces(data: bytes, at: int, size: object) -> list[bytes]:
    pieces = [data[:at]]
    while at < len(data):
        end = at + size(at)  # type: ignore[operator]
        pieces.append(data[at:end])
        at = end
    return pieces


def _jpeg_pieces(data: bytes) -> list[bytes]:
    pieces, at = [data[:2]], 2
    while data[at + 1] != 0xD9:
        end = at + 2 + int.from_bytes(data[at + 2 : at + 4], "big")
        if data[at + 1] == 0xDA:
            while data[end] != 0xFF or data[end + 1] == 0:
                end += 1
        pieces.append(data[at:end])
        at = end
    return [*pieces, data[at:]]


_UNKNOWN = [
    *(bytes([0xFF, marker]) for marker in range(1, 0xFF)),  # without a length
    *(segment(marker, b"\x00" * 20) for marker in range(0xC0, 0xFF)),
    segment(0xC0, struct.pack(">BHHB", 8, 65500, 65500, 1) + b"\x01\x11\x00"),
    segment(0xC2, struct.pack(">BHHB", 8, 3000, 5000, 3) + b"\x01\x44\x00\x02\x11\x00\x03\x11\x00"),
    segment(0xDD, b"\x00\x01"),
    segment(0xDA, b"\x01\x01\x00\x00\x3f\x00") + b"\x00" * 40,
    b"\xff" * 5000,
    b"\xff\xd8\xff\xd9" * 200,
    png_header(12_000, 12_000),
    png_header(1, 1),
    png_chunk(b"IDAT", zlib.compress(b"\x00" * 1_000_000)),
    png_chunk(b"PLTE", b"\x00" * 768),
    png_chunk(b"tRNS", b"\x00" * 6),
    png_chunk(b"IEND", b""),
    png_chunk(b"CgBI", b"\x50\x00\x20\x02"),
    png_chunk(b"zTXt", b"a\x00\x00" + zlib.compress(b"x" * 1_000_000)),
    png_chunk(b"acTL", b"\x00" * 8),
    b"VP8X\x0a\x00\x00\x00" + b"\x10\x00\x00\x00" + b"\xff\x3f\x00" * 2,
    b"VP8 \x0a\x00\x00\x00" + b"\x10\x02\x00\x9d\x01\x2a\xff\x3f\xff\x3f",
    b"VP8L\x0a\x00\x00\x00\x2f\xff\xff\xff\x0f" + b"\x00" * 5,
    b"ALPH\x02\x00\x00\x00\x00\x00",
    b"ANIM\x06\x00\x00\x00" + b"\x00" * 6,
    b"JUNK\xff\xff\xff\xff",
    b"\x00\x00\x00\x00mdat",
    b"\x00\x00\x00\x01mdat" + b"\xff" * 8,
    b"\x00\x00\x00\x08free" * 50,
    b"\x00\x00\x00\x18ftypavis\x00\x00\x00\x00avifavis",
    b"\x00\x00\x00\x0cmeta\x00\x00\x00\x00",
    *TAILS.values(),
]


@st.composite
def broken_photos(draw: st.DrawFn) -> bytes:
    """Return a photo whose pieces and bytes were changed; some are still valid."""
    pieces = split(draw(st.sampled_from(sorted(photos().items())))[1])
    for _ in range(draw(st.integers(0, 4))):
        at = draw(st.integers(0, len(pieces) - 1))
        change = draw(st.sampled_from(["repeat", "drop", "swap", "insert", "cut", "bytes", "number"]))
        if change == "repeat":
            pieces[at:at] = [pieces[at]] * draw(st.sampled_from([1, 2, 40]))
        elif change == "drop" and len(pieces) > 1:
            del pieces[at]
        elif change == "swap":
            other = draw(st.integers(0, len(pieces) - 1))
            pieces[at], pieces[other] = pieces[other], pieces[at]
        elif change == "insert":
            pieces.insert(draw(st.integers(0, len(pieces))), draw(st.sampled_from(_UNKNOWN)))
        elif change == "cut":
            pieces[at] = pieces[at][: draw(st.integers(0, len(pieces[at])))]
        elif pieces[at]:
            position = draw(st.integers(0, len(pieces[at]) - 1))
            values = st.sampled_from(
                [b"\x00", b"\xff", b"\x7f\xff\xff\xff", b"\x00\x00\x00\x01", b"\xff\xff", b"\x10\x00"]
            )
            new = draw(values if change == "number" else st.binary(min_size=1, max_size=4))
            pieces[at] = pieces[at][:position] + new + pieces[at][position + len(new) :]
    return join(pieces) if draw(st.booleans()) else b"".join(pieces)
