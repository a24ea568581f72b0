"""The one preparation of product text, used by training, serving and the catalogue.

A field is read in the same way wherever it comes from: mojibake is repaired, character references are replaced, also
those of text that was escaped twice, and invisible characters and markup are removed. A field that holds only the word
with which programs write a missing value ("nan", "None", "NULL") is a missing field.
"""

import html
import re
from typing import Final

from product_classifier.limits import DESCRIPTION_CHARACTERS
from product_classifier.text.characters import decompose, limit_marks, unescape
from product_classifier.text.mojibake import repair, undo_mojibake
from product_classifier.text.writing_systems import OPTIONAL_MARKS, has_spelled_marks, word_pattern

DESIGNATION_CHARACTERS_READ = 1_000
DESCRIPTION_CHARACTERS_READ = 6_000
"""Characters the text features read. A property of the models, not a request limit; see `limits` for those."""

FIELD_SEPARATOR = "\n"
"""Separates designation and description in prepared text."""

MISSING_VALUES: Final = frozenset({"nan", "none", "null"})

TAG = re.compile(r"<[^<>]*>")
COMBINING = re.compile(f"[{OPTIONAL_MARKS}]+")
_NOT_WORD = re.compile(r"[\W_]+")
ESCAPED_TWICE = re.compile(r"&(?:#[0-9]{1,8}|#[xX][0-9a-fA-F]{1,8}|[A-Za-z][A-Za-z0-9]{1,31});")
INVISIBLE = re.compile(
    "[\u00ad\u061c\u180e\u200b-\u200f\u202a-\u202e\u2060-\u206f\ufeff\ufff9-\ufffb\U000e0000-\U000e007f]+"
)
_CERTAIN_WORD = re.compile(r"[^<&]{0,40}?[0-9A-Za-z]{5}")
"""The start of a text that has a word whatever follows: longer than a missing value, before markup and references."""


def normalize(designation: str | None, description: str | None) -> str:
    """Return lower-case words without accents, markup and punctuation.

    A line break separates designation and description. Text without a letter or digit returns the empty string.
    """
    title = _normalize_field(designation or "", DESIGNATION_CHARACTERS_READ)
    body = _normalize_field(description or "", DESCRIPTION_CHARACTERS_READ)
    return f"{title}{FIELD_SEPARATOR}{body}" if body else title


def strip_markup(designation: str | None, description: str | None) -> str:
    """Return the text without markup, for encoders; empty if it has no words.

    Accents, capitals and punctuation are preserved; a line break separates designation and description.
    """
    if not has_words(designation, description):
        return ""
    fields = (
        _encoder_field(designation or "", DESIGNATION_CHARACTERS_READ),
        _encoder_field(description or "", DESCRIPTION_CHARACTERS_READ),
    )
    return FIELD_SEPARATOR.join(fields)


def has_words(designation: str | None, description: str | None) -> bool:
    """Return whether the models can read a letter or digit in the text: whether `normalize` is not empty."""
    if designation and _CERTAIN_WORD.match(designation):
        return True
    return normalize(designation, description) != ""


def _read_field(text: str, limit: int) -> str:
    text = text[:DESCRIPTION_CHARACTERS].replace("\0", " ")
    text = _remove_invisible(repair(text))
    text = text[: 2 * limit]  # markup and entities may take half; bounds the cost of a text of any length
    if "&" in text:
        text = unescape(text)
        if "&" in text:
            text = ESCAPED_TWICE.sub(lambda reference: html.unescape(reference[0]), text)
        text = _remove_invisible(undo_mojibake(text))
    if "<" in text:
        text = TAG.sub(" ", text)
    return text


def _remove_invisible(text: str) -> str:
    return text if text.isprintable() else undo_mojibake(INVISIBLE.sub("", text))


def _normalize_field(text: str, limit: int) -> str:
    words = _words(_read_field(text, limit), limit)
    return "" if words in MISSING_VALUES else words


def _words(text: str, limit: int) -> str:
    text = text.lower()
    if not text.isascii():
        text = COMBINING.sub("", decompose(text)).lower()
        if has_spelled_marks(text):
            return " ".join(word_pattern(text).findall(text[: 2 * limit]))[:limit]
    return _NOT_WORD.sub(" ", text[: 2 * limit]).strip()[:limit]


def _encoder_field(text: str, limit: int) -> str:
    text = _read_field(text, limit)
    if _words(text[:limit], limit) in MISSING_VALUES:
        return ""
    return " ".join(limit_marks(text).encode(errors="replace").decode().split())
