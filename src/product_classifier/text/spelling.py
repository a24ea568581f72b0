"""What two texts of one product share: the same words in the same field, however they are written."""

import re
from typing import Final

from product_classifier.limits import DESCRIPTION_CHARACTERS
from product_classifier.text.characters import compose, decompose, unescape
from product_classifier.text.mojibake import undo_mojibake
from product_classifier.text.writing_systems import word_pattern

VERSION: Final = 3
"""Version of `letters`; an index that stores what is derived from them is rebuilt for another one."""

CHARACTERS_COMPARED: Final = DESCRIPTION_CHARACTERS
"""Characters of a field that are compared. No accepted request has more; records from elsewhere may."""

_TAG: Final = re.compile(r"<[^<>]*>")
_LIGATURES: Final = str.maketrans({"œ": "oe", "æ": "ae", "ø": "o", "đ": "d", "ł": "l"})


def fold(text: str) -> str:
    """Return the text without differences of case, spaces and compatibility characters."""
    return " ".join(compose(text[:CHARACTERS_COMPARED]).casefold().split())


def letters(text: str) -> str:
    """Return the letters and digits of a text without differences of spelling.

    Mojibake, markup, accents, case, punctuation and spaces make no difference; vowel signs do.
    Texts without mojibake that have equal `fold` have equal letters.
    """
    text = undo_mojibake(text[:CHARACTERS_COMPARED])
    plain = _TAG.sub(" ", unescape(unescape(fold(text)[:CHARACTERS_COMPARED])))
    folded = decompose(plain.casefold().translate(_LIGATURES))
    return "".join(word_pattern(folded).findall(folded)).casefold()
