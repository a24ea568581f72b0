"""Words of any writing system, with their vowel signs, and with or without blanks between them.

The class `w` of regular expressions has letters and digits only. A Thai or Devanagari vowel sign and a Japanese voicing
mark are marks (categories Mn and Mc), so a word would end at each of them. Optional marks, such as accents, Hebrew
points and Arabic short vowels, are no part of a word's spelling.
"""

import re
import unicodedata
from collections.abc import Iterator
from functools import cache
from typing import Final

OPTIONAL_MARKS: Final = (
    "\u0300-\u036f\u0483-\u0489\u0591-\u05bd\u05bf\u05c1\u05c2\u05c4\u05c5\u05c7\u0610-\u061a\u0640\u064b-\u065f\u0670"
    "\u06d6-\u06dc\u06df-\u06e4\u06e7\u06e8\u06ea-\u06ed\u0711\u0730-\u074a\u07eb-\u07f3\u08ca-\u08ff\u1ab0-\u1aff"
    "\u180b-\u180d\u180f\u1dc0-\u1dff\u20d0-\u20ff\ufe00-\ufe0f\ufe20-\ufe2f"
)
"""Ranges, as in a character class, of the marks that words are compared without."""

_FIRST: Final = "\u0780"
"""Before it no mark belongs to a word's spelling."""
_MARK_RANGE: Final = range(ord(_FIRST), 0x20000)
_UNSPACED: Final = re.compile(
    "[\u0e00-\u0eff\u1000-\u109f\u1780-\u17ff\u3005-\u30ff\u31f0-\u31ff\u3400-\u4dbf\u4e00-\u9fff\uf900-\ufaff"
    "\U00020000-\U0003ffff]{3,}"
)
"""Runs of letters that are written without blanks: Thai, Lao, Burmese, Khmer, kana and Han."""
_WORD: Final = re.compile(r"[^\W_]+")


def has_spelled_marks(text: str) -> bool:
    """Return whether a text may have marks that belong to the spelling of its words."""
    return not text.isascii() and max(text) >= _FIRST


def word_pattern(text: str) -> re.Pattern[str]:
    """Return the pattern of a word in this text: letters, digits and the marks of its spelling."""
    return _marked_word() if has_spelled_marks(text) else _WORD


def comparison_terms(text: str) -> Iterator[str]:
    """Yield the words of a text; of a run without blanks, its pairs of characters, as search engines do."""
    for word in word_pattern(text).findall(text):
        run = _UNSPACED.search(word) if not word.isascii() else None
        if run is None:
            yield word
        else:
            yield from (word[at : at + 2] for at in range(len(word) - 1))


@cache
def _marked_word() -> re.Pattern[str]:
    optional = re.compile(f"[{OPTIONAL_MARKS}]")
    marks = "".join(
        char
        for char in map(chr, _MARK_RANGE)
        if unicodedata.category(char) in {"Mn", "Mc"} and not optional.match(char)
    )
    return re.compile(rf"[^\W_](?:[^\W_]|[{marks}])*")
