"""The scripts of texts, to keep only the part of a vocabulary that a catalogue can use."""

import unicodedata
from collections import Counter
from collections.abc import Iterable
from functools import cache

SMALLEST_SHARE = 1e-3
"""A script with a smaller share of the letters is not one of the catalogue's languages."""
ALWAYS = frozenset({"LATIN"})
"""Brands and units of measure are Latin in all languages."""


@cache
def script_of(character: str) -> str:
    """Return the script of a letter, such as LATIN; "" for other characters.

    It is the first word of the name in Unicode; those of Japanese are CJK, HIRAGANA and KATAKANA.
    """
    if unicodedata.category(character)[0] not in "LM":
        return ""
    name = unicodedata.name(character, "")
    is_common = name.startswith(("COMBINING", "MODIFIER", "FEMININE", "MASCULINE", "MICRO"))
    return "" if is_common else name.partition(" ")[0]


def scripts_of(texts: Iterable[str]) -> frozenset[str]:
    """Return the scripts that the letters of the texts are written in, and `ALWAYS`."""
    characters: Counter[str] = Counter()
    for text in texts:
        characters.update(unicodedata.normalize("NFKC", text))
    letters: Counter[str] = Counter()
    for character, count in characters.items():
        letters[script_of(character)] += count
    del letters[""]
    total = letters.total()
    return ALWAYS | {script for script, count in letters.items() if count >= SMALLEST_SHARE * total}


def is_written_in(text: str, scripts: frozenset[str]) -> bool:
    """Return whether all letters of a text are of these scripts."""
    return all(script_of(character) in scripts or not script_of(character) for character in text)
