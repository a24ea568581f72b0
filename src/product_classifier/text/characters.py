"""Operations on text of any origin: total for every string, in time linear in its length.

The functions of the standard library are neither: `html.unescape` raises for a decimal number of more than 4,300
digits, and `unicodedata.normalize` sorts a run of combining marks in quadratic time.
"""

import html
import re
import unicodedata
from functools import cache
from typing import Final

MARKS_IN_A_ROW: Final = 30
"""Combining marks after a character that are kept: the Stream-Safe Text Format of Unicode (UAX #15, section 13)."""

_CHUNK: Final = 128
"""Characters that are decomposed at once."""
LONG_NUMBER: Final = re.compile(r"&#[0-9]{20,};?")
"""A reference that `html.unescape` may raise for."""
REFERENCE: Final = re.compile(r"&(?:#[0-9]+;?|#[xX][0-9a-fA-F]+;?|[^\t\n\f <&#;]{1,32};?)")
"""The character references that `html.unescape` replaces, each independently of the others."""
_MARK_RANGE: Final = range(0x300, 0x20000)
"""Code points among which all combining marks lie."""


def unescape(text: str) -> str:
    """Replace HTML character references as `html.unescape` does, numbers of any length included."""
    if "&" not in text:
        return text
    return html.unescape(LONG_NUMBER.sub(lambda reference: shorten_number(reference[0]), text))


def decompose(text: str) -> str:
    """Return NFKD of a text; marks in a run of more than `_CHUNK` are not sorted by their class.

    The result is for callers that drop combining marks or treat them as separators: to them it equals NFKD.
    """
    if text.isascii():
        return text
    if len(text) <= _CHUNK:
        return unicodedata.normalize("NFKD", text)
    chunks = (text[start : start + _CHUNK] for start in range(0, len(text), _CHUNK))
    return "".join(unicodedata.normalize("NFKD", chunk) for chunk in chunks)


def compose(text: str) -> str:
    """Return NFKC of a text in which at most `MARKS_IN_A_ROW` combining marks follow each other."""
    return text if text.isascii() else unicodedata.normalize("NFKC", limit_marks(text))


def limit_marks(text: str) -> str:
    """Remove the combining marks that follow `MARKS_IN_A_ROW` others."""
    return text if text.isascii() else _long_runs().sub(lambda run: run[0][:MARKS_IN_A_ROW], text)


def shorten_number(reference: str) -> str:
    """Return a match of `LONG_NUMBER` with so many digits that it still names the same character, or none."""
    return f"&#{reference.strip('&#;').lstrip('0')[:20] or '0'};"


@cache
def _long_runs() -> re.Pattern[str]:
    """Return the pattern of more than `MARKS_IN_A_ROW` characters whose decomposition starts with a mark."""
    marks = (chr(code) for code in _MARK_RANGE)
    found = "".join(char for char in marks if unicodedata.combining(unicodedata.normalize("NFKD", char)[0]))
    return re.compile(f"[{re.escape(found)}]{{{MARKS_IN_A_ROW + 1},}}")


def storable(text: str) -> str:
    """Return text that UTF-8 can encode: lone surrogates are replaced."""
    return text if text.isascii() else text.encode("utf-8", errors="replace").decode()
