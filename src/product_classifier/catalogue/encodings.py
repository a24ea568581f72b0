"""Decode bytes of unknown encoding, and repair text that was decoded with the wrong one.

The challenge's files are UTF-8, except for rows pasted from other sources: some are Windows-1252, and some are
mojibake, UTF-8 that was decoded as Windows-1252 before it was stored as UTF-8 ("é" became "Ã©").
"""

from collections.abc import Iterator
from typing import Final

from product_classifier.text.mojibake import UNDEFINED_BYTES, repair

__all__ = ["decode_lines", "repair"]

_BOMS: Final = {b"\xef\xbb\xbf": "utf-8-sig", b"\xff\xfe": "utf-16", b"\xfe\xff": "utf-16"}


def decode_lines(data: bytes) -> Iterator[str]:
    """Return the lines of a file, line endings included, each decoded as UTF-8 or else as Windows-1252."""
    for bom, encoding in _BOMS.items():
        if data.startswith(bom):
            data = data.decode(encoding, errors="replace").encode("utf-8", errors="replace")
    return (_decode(line) for line in data.splitlines(keepends=True))


def _decode(line: bytes) -> str:
    try:
        return line.decode()
    except UnicodeDecodeError:
        return "".join(chr(byte) if byte in UNDEFINED_BYTES else bytes([byte]).decode("cp1252") for byte in line)
