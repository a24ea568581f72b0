"""The one preparation of product text, used by training, serving and the catalogue."""

import re

from product_classifier.text.characters import decompose, unescape

DESIGNATION_CHARACTERS_READ = 1_000
DESCRIPTION_CHARACTERS_READ = 6_000
"""Characters the text features read. A property of the models, not a request limit; see `limits` for those."""

FIELD_SEPARATOR = "\n"
"""Separates designation and description in prepared text."""

_TAG = re.compile(r"<[^<>]*>")
_COMBINING = re.compile(r"[\u0300-\u036f]+")
_NOT_WORD = re.compile(r"[\W_]+")


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
        _strip_field(designation or "", DESIGNATION_CHARACTERS_READ),
        _strip_field(description or "", DESCRIPTION_CHARACTERS_READ),
    )
    return FIELD_SEPARATOR.join(" ".join(field.encode(errors="replace").decode().split()) for field in fields)


def has_words(designation: str | None, description: str | None) -> bool:
    """Return whether the models can read a letter or digit in the text."""
    return normalize(designation, description) != ""


def _strip_field(text: str, limit: int) -> str:
    text = text[: 2 * limit]  # markup and entities may take half; bounds the cost of a text of any length
    text = unescape(text)
    if "<" in text:
        text = _TAG.sub(" ", text)
    return text


def _normalize_field(text: str, limit: int) -> str:
    text = _strip_field(text, limit).lower()
    if not text.isascii():
        text = _COMBINING.sub("", decompose(text)).lower()
    return _NOT_WORD.sub(" ", text[: 2 * limit]).strip()[:limit]
