"""Keys that near duplicates share: hashes of the text, without markup and accents, and of the photo."""

import re
import unicodedata
from hashlib import sha256
from typing import Final

from product_classifier.text.characters import decompose, unescape
from product_classifier.text.writing_systems import comparison_terms, word_pattern

_MARKUP: Final = re.compile(r"<[^<>]{0,2000}>")
_REFERENCE: Final = re.compile(r"\d{6,}")
_LIGATURES: Final = str.maketrans({"œ": "oe", "æ": "ae", "ø": "o", "đ": "d", "ł": "l"})
_MIN_WORDS: Final = 3
_MAX_CHARACTERS: Final = 20_000


def content_keys(designation: str, description: str, image_sha256: str = "") -> tuple[str, ...]:
    """Return the keys that a product shares with its near duplicates: text, then photo, if present."""
    text = text_key(designation, description)
    return tuple(key for key in (text, image_sha256 and f"photo:{image_sha256}") if key)


def text_key(designation: str, description: str) -> str:
    """Return the content key of a text; empty without words.

    The key ignores markup, accents, case, punctuation, spaces and reference numbers.
    With three or more words the designation alone makes the key, so the same offer with another description is a near
    duplicate; a shorter one ("Puzzle") is too common and is combined with the description.
    """
    words = _words(designation)
    if sum(1 for _ in comparison_terms(" ".join(words))) < _MIN_WORDS:
        words += _words(description)
    # "Réf. 20394857" differs between sellers of one product. Sizes, years and volumes differ between products.
    without_references = [word for word in words if not _REFERENCE.fullmatch(word)]
    text = "".join(without_references if len(without_references) > _MIN_WORDS else words)
    return f"text:{sha256(text.encode()).hexdigest()}" if text else ""


# Deliberately not `text.normalization`: a better normalization for the models must not move a product to another split.
def _words(text: str) -> list[str]:
    plain = _MARKUP.sub(" ", unescape(text[:_MAX_CHARACTERS]))
    folded = decompose(plain.casefold().translate(_LIGATURES))
    # Lone surrogates cannot be encoded as UTF-8.
    kept = "".join(c for c in folded if not unicodedata.combining(c) and not "\ud800" <= c <= "\udfff")
    return list(word_pattern(kept).findall(kept))
