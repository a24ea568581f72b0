"""Bytes of unknown encoding to text, and text that was decoded wrongly back to what it meant.

The challenge's files are UTF-8, but rows pasted from elsewhere are not: some are Windows-1252, and some were read as
Windows-1252 before they were stored as UTF-8, which turns "é" into "Ã©".
"""

import re
from collections.abc import Iterator
from typing import Final

_BOMS: Final = {b"\xef\xbb\xbf": "utf-8-sig", b"\xff\xfe": "utf-16", b"\xfe\xff": "utf-16"}
_CONTROL: Final = dict.fromkeys([*range(9), 11, 12, *range(14, 32), 127])


def _upper_half() -> dict[str, int]:
    """Return the byte behind every character that Windows-1252, or Latin-1 where that has a hole, reads as one."""
    table = {chr(byte): byte for byte in range(0x80, 0x100)}
    for byte in range(0x80, 0xA0):
        try:
            table[bytes([byte]).decode("cp1252")] = byte
        except UnicodeDecodeError:
            continue
    return table


_BYTE_OF: Final = _upper_half()
_TRAILS: Final = "".join(re.escape(char) for char, byte in _BYTE_OF.items() if byte < 0xC0)
# Lead bytes C2..C5 spell the accents of French, E2 the typographic quotes, dashes and the euro sign.
_MOJIBAKE: Final = re.compile(f"[Â-Å][{_TRAILS}]|â[{_TRAILS}]{{2}}")
_PLAUSIBLE: Final = re.compile(r"[\u00a0-\u017f\u2010-\u203a\u20ac\u2122]")


def decode_lines(data: bytes) -> Iterator[str]:
    """Return the lines of a file, each decoded by itself: UTF-8 if it is, else Windows-1252."""
    for bom, encoding in _BOMS.items():
        if data.startswith(bom):
            data = data.decode(encoding, errors="replace").encode("utf-8", errors="replace")
    return (_decode(line) for line in data.splitlines(keepends=True))


def repair(text: str) -> str:
    """Undo mojibake, up to twice, and drop control characters."""
    for _ in range(2):
        repaired = _MOJIBAKE.sub(_reread, text)
        if repaired == text:
            break
        text = repaired
    return text.translate(_CONTROL).strip()


def _decode(line: bytes) -> str:
    try:
        return line.decode()
    except UnicodeDecodeError:
        # Windows-1252 leaves five bytes undefined, Latin-1 none.
        return "".join(chr(byte) if byte in _HOLES else bytes([byte]).decode("cp1252") for byte in line)


_HOLES: Final = frozenset({0x81, 0x8D, 0x8F, 0x90, 0x9D})


def _reread(found: re.Match[str]) -> str:
    try:
        meant = bytes(_BYTE_OF[char] for char in found[0]).decode()
    except UnicodeDecodeError:
        return found[0]
    return meant if _PLAUSIBLE.fullmatch(meant) else found[0]
