"""The words that the models read in a product's text, with their positions in the text as it was sent.

The steps are those of `normalization.normalize` on texts that carry positions; a test holds both equal.
"""

import html
import unicodedata
from typing import Literal, NamedTuple

from product_classifier.limits import DESCRIPTION_CHARACTERS
from product_classifier.text.aligned_text import AlignedText
from product_classifier.text.characters import LONG_NUMBER, REFERENCE, decompose, shorten_number
from product_classifier.text.mojibake import CONTROLS, has_mojibake, repaired_pieces
from product_classifier.text.normalization import (
    COMBINING,
    DESCRIPTION_CHARACTERS_READ,
    DESIGNATION_CHARACTERS_READ,
    ESCAPED_TWICE,
    INVISIBLE,
    MISSING_VALUES,
    TAG,
)
from product_classifier.text.writing_systems import word_pattern

Field = Literal["designation", "description"]


class WordSpan(NamedTuple):
    """A word of the prepared text, and the characters `start` to `end` of the field that it was read from."""

    word: str
    field: Field
    start: int
    end: int


def word_spans(designation: str | None, description: str | None) -> list[WordSpan]:
    """Return the words of `normalize(designation, description)` in their order.

    Positions count Unicode code points. A word that the models read only in part ends where they stop.
    """
    return [
        *_field_words(designation or "", "designation", DESIGNATION_CHARACTERS_READ),
        *_field_words(description or "", "description", DESCRIPTION_CHARACTERS_READ),
    ]


def _field_words(text: str, field: Field, limit: int) -> list[WordSpan]:
    aligned = _fold(_read_field(text, limit)).cut(0, 2 * limit)
    spans: list[WordSpan] = []
    starts, ends = aligned.starts.tolist(), aligned.ends.tolist()
    length = 0
    for match in word_pattern(aligned.text).finditer(aligned.text):
        word = match[0][: limit - length]
        if not word:
            break
        first = match.start()
        spans.append(WordSpan(word, field, starts[first], ends[first + len(word) - 1]))
        length += len(word) + 1
    is_missing = len(spans) == 1 and spans[0].word in MISSING_VALUES
    return [] if is_missing else spans


def _read_field(text: str, limit: int) -> AlignedText:
    aligned = AlignedText.of(text[:DESCRIPTION_CHARACTERS].replace("\0", " "))
    aligned = _undo_mojibake(_undo_mojibake(aligned).remove(CONTROLS)).strip()
    aligned = _remove_invisible(aligned).cut(0, 2 * limit)
    if "&" in aligned.text:
        aligned = aligned.replace(LONG_NUMBER, shorten_number).replace(REFERENCE, html.unescape)
        aligned = aligned.replace(ESCAPED_TWICE, html.unescape)
        aligned = _remove_invisible(_undo_mojibake(aligned))
    return aligned.replace(TAG, lambda _: " ")


def _fold(aligned: AlignedText) -> AlignedText:
    aligned = _lower(aligned)
    if aligned.text.isascii():
        return aligned
    aligned = aligned.derive(decompose(aligned.text), lambda char: len(unicodedata.normalize("NFKD", char)))
    return _lower(aligned.remove(COMBINING))


def _lower(aligned: AlignedText) -> AlignedText:
    return aligned.derive(aligned.text.lower(), lambda char: len(char.lower()))


def _undo_mojibake(aligned: AlignedText) -> AlignedText:
    return aligned.replace_pieces(repaired_pieces(aligned.text)) if has_mojibake(aligned.text) else aligned


def _remove_invisible(aligned: AlignedText) -> AlignedText:
    return aligned if aligned.text.isprintable() else _undo_mojibake(aligned.remove(INVISIBLE))
