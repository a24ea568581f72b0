"""Decode bytes of unknown encoding, and repair text that was decoded with the wrong one.

The challenge's files are UTF-8, except for rows pasted from other sources: some are Windows-1252, and some are
mojibake, UTF-8 that was decoded as Windows-1252 before it was stored as UTF-8 ("é" became "Ã©").
"""

import re
from collections.abc import Iterator
from typing import Final

_BOMS: Final = {b"\xef\xbb\xbf": "utf-8-sig", b"\xff\xfe": "utf-16", b"\xfe\xff": "utf-16"}
_CONTROL: Final = dict.fromkeys([*range(9), 11, 12, *range(14, 32), 127])
_UNDEFINED: Final = frozenset({0x81, 0x8D, 0x8F, 0x90, 0x9D})
"""Bytes that Windows-1252 leaves undefined."""


def _bytes_by_character() -> dict[str, int]:
    """Return the byte of every character that Windows-1252, or Latin-1 where that is undefined, decodes to."""
    table = {chr(byte): byte for byte in range(0x80, 0x100)}
    for byte in range(0x80, 0xA0):
        if byte not in _UNDEFINED:
            table[bytes([byte]).decode("cp1252")] = byte
    return table


_BYTE_OF: Final = _bytes_by_character()
_TRAIL_BYTES: Final = "".join(re.escape(char) for char, byte in _BYTE_OF.items() if byte < 0xC0)
# Lead bytes C2 to C5 encode the accents of French, E2 the typographic quotes, dashes and the euro sign.
_MOJIBAKE: Final = re.compile(f"[Â-Å][{_TRAIL_BYTES}]|â[{_TRAIL_BYTES}]{{2}}")
_PLAUSIBLE: Final = re.compile(r"[\u00a0-\u017f\u2010-\u203a\u20ac\u2122]")


def decode_lines(data: bytes) -> Iterator[str]:
    """Return the lines of a file, line endings included, each decoded as UTF-8 or else as Windows-1252."""
    for bom, encoding in _BOMS.items():
        if data.startswith(bom):
            data = data.decode(encoding, errors="replace").encode("utf-8", errors="replace")
    return (_decode(line) for line in data.splitlines(keepends=True))


def repair(text: str) -> str:
    """Undo mojibake, applied up to twice, and remove control characters and surrounding space."""
    for _ in range(2):
        repaired = _MOJIBAKE.sub(_repair_match, text)
        if repaired == text:
            break
        text = repaired
    return text.translate(_CONTROL).strip()


def _decode(line: bytes) -> str:
    try:
        return line.decode()
    except UnicodeDecodeError:
        return "".join(chr(byte) if byte in _UNDEFINED else bytes([byte]).decode("cp1252") for byte in line)


def _repair_match(found: re.Match[str]) -> str:
    try:
        original = bytes(_BYTE_OF[char] for char in found[0]).decode()
    except UnicodeDecodeError:
        return found[0]
    return original if _PLAUSIBLE.fullmatch(original) else found[0]
