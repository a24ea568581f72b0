"""Text of a product as its models read it."""

import html
import re
import unicodedata

MAX_DESIGNATION = 1_000
MAX_DESCRIPTION = 6_000
"""Characters that are read; what real sellers write beyond them tells nothing more about the category."""

_TAG = re.compile(r"<[^<>]*>")
_MARKS = re.compile(r"[\u0300-\u036f]+")
_NOT_WORD = re.compile(r"[\W_]+")
FIELD = "\n"


def normalize(designation: str | None, description: str | None) -> str:
    """Return plain lower-case words without accents, the designation's first, a line break between the two.

    Text without a letter or digit gives the empty string.
    """
    title = _plain(designation or "", MAX_DESIGNATION)
    body = _plain(description or "", MAX_DESCRIPTION)
    return f"{title}{FIELD}{body}" if body else title


def strip_markup(designation: str | None, description: str | None) -> str:
    """Return the text as it was meant to be read, for encoders that know accents and capitals; empty without words."""
    if not normalize(designation, description):
        return ""
    fields = _unmarked(designation or "", MAX_DESIGNATION), _unmarked(description or "", MAX_DESCRIPTION)
    return FIELD.join(" ".join(field.encode(errors="replace").decode().split()) for field in fields)


def _unmarked(text: str, limit: int) -> str:
    text = text[: 2 * limit]  # markup and entities may take half; a 10 MB title costs what a long one costs
    if "&" in text:
        text = html.unescape(text)
    if "<" in text:
        text = _TAG.sub(" ", text)
    return text


def _plain(text: str, limit: int) -> str:
    text = _unmarked(text, limit).lower()
    if not text.isascii():
        text = _MARKS.sub("", unicodedata.normalize("NFKD", text)).lower()
    return _NOT_WORD.sub(" ", text[: 2 * limit]).strip()[:limit]
