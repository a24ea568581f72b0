"""What is measured of the texts of products."""

import re
from collections.abc import Sequence
from functools import cache
from typing import Any, Final
from zlib import crc32

import numpy as np
from numpy.typing import NDArray

from product_classifier.text.normalization import normalize
from product_classifier.text.writing_systems import comparison_terms

LANGUAGES: Final = ("ar", "de", "en", "es", "fr", "it", "ja", "nl", "pl", "pt", "ru", "sv", "tr", "zh")
MIN_LANGUAGE_CHARACTERS: Final = 12
"""Shorter texts have no language: the guess would be noise."""
WORD_BUCKETS: Final = 2**14
"""Buckets of the words that vocabulary drift is found by."""
VOCABULARY_BUCKETS: Final = 2**19
"""Buckets of the words of the training; many, so that an unknown word rarely shares one with a known word."""
_MARKUP: Final = re.compile(r"<[a-zA-Z/!][^>]*>|&#?\w+;")


def words_of(designation: str, description: str) -> frozenset[str]:
    """Return the distinct normalized words of a product."""
    return distinct_words(normalize(designation, description))


def distinct_words(normalized: str) -> frozenset[str]:
    """Return the distinct words of a normalized text."""
    return frozenset(comparison_terms(normalized))


def word_buckets(words: Sequence[str] | frozenset[str], buckets: int = WORD_BUCKETS) -> NDArray[np.uint32]:
    """Return the sorted distinct buckets of words; equal in every process and version."""
    return np.unique(np.array([crc32(word.encode("utf-8", "replace")) % buckets for word in words], np.uint32))


def has_markup(text: str) -> bool:
    """Return whether a text has HTML tags or entities."""
    return _MARKUP.search(text) is not None


def language_of(text: str) -> str:
    """Return the most probable of `LANGUAGES`, an ISO 639-1 code; empty for a short text."""
    if len(text) < MIN_LANGUAGE_CHARACTERS:
        return ""
    return str(_identifier().classify(text)[0])


@cache
def _identifier() -> Any:
    import py3langid  # noqa: PLC0415 - loading the model takes seconds

    py3langid.set_languages(list(LANGUAGES))
    return py3langid
