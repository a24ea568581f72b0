"""Repair of text that was decoded with the wrong encoding: UTF-8 read as Windows-1252 or Latin-1.

Sequences are repaired from the innermost one until none is left, however often the text was decoded wrongly. No two
sequences overlap, so the result does not depend on their order: text repaired when a file is read and again when a
model reads it equals text repaired once.
"""

import re
from itertools import product
from typing import Final

UNDEFINED_BYTES: Final = frozenset({0x81, 0x8D, 0x8F, 0x90, 0x9D})
"""Bytes that Windows-1252 leaves undefined."""


# The originals of lead bytes C2 to C5 are the accents of French, those of E2 typographic quotes, dashes and signs.
_ORIGINALS: Final = tuple(map(chr, [*range(0xA0, 0x180), *range(0x2010, 0x203B), 0x20AC, 0x2122]))


def _wrong_characters(byte: int) -> str:
    """Return the characters that Windows-1252 and Latin-1 decode a byte to."""
    latin = chr(byte)
    return latin if byte in UNDEFINED_BYTES or byte >= 0xA0 else latin + bytes([byte]).decode("cp1252")


_ORIGINAL_OF: Final = {
    "".join(sequence): char for char in _ORIGINALS for sequence in product(*map(_wrong_characters, char.encode()))
}
_TRAILS: Final = frozenset(char for byte in range(0x80, 0xC0) for char in _wrong_characters(byte))
_TRAIL: Final = re.escape("".join(sorted(_TRAILS)))
_MOJIBAKE: Final = re.compile(f"[Â-Å][{_TRAIL}]|â[{_TRAIL}]{{2}}")
_PIECES: Final = re.compile(f"[Â-Åâ{_TRAIL}]|[^Â-Åâ{_TRAIL}]+")
CONTROLS: Final = re.compile(r"[\x00-\x08\x0b\x0c\x0e-\x1f\x7f]+")


def repair(text: str) -> str:
    """Undo mojibake and remove control characters and surrounding space; a repaired text is unchanged."""
    text = undo_mojibake(text)
    if not text.isprintable():
        text = undo_mojibake(CONTROLS.sub("", text))
    return text.strip()


def undo_mojibake(text: str) -> str:
    """Return the text with every sequence of mojibake replaced by the character it stands for."""
    if not has_mojibake(text):
        return text
    return "".join(piece for piece, _ in repaired_pieces(text))


def repaired_pieces(text: str) -> list[tuple[str, int]]:
    """Return the pieces of the repaired text, and how many characters of `text` each replaces."""
    done = [("", 0), ("", 0)]
    for piece in _PIECES.findall(text):
        last, length = piece, len(piece)
        while last in _TRAILS:
            (before, before_length), (lead, lead_length) = done[-2:]
            if original := _ORIGINAL_OF.get(lead + last):
                done.pop()
                length += lead_length
            elif original := _ORIGINAL_OF.get(before + lead + last):
                del done[-2:]
                length += before_length + lead_length
            else:
                break
            last = original
        done.append((last, length))
    return done


def has_mojibake(text: str) -> bool:
    """Return whether a sequence is to be repaired."""
    # five searches of a character cost less than one of the pattern
    if text.isascii() or not any(lead in text for lead in "ÃÂâÅÄ"):
        return False
    return _MOJIBAKE.search(text) is not None
