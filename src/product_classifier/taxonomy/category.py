"""One category: a node of the taxonomy, and the form of its code."""

import unicodedata
from collections.abc import Mapping
from dataclasses import dataclass, field

from product_classifier.errors import TaxonomyError

CODE_CHARACTERS = 1_000
"""Longest code; the code of a path is its parts joined by ` > `."""
LABEL_CHARACTERS = 1_000
GUIDELINE_CHARACTERS = 10_000
_CONTROL = {"Cc", "Cs", "Cn", "Zl", "Zp"}


def normalize_code(value: str, where: str = "code") -> str:
    """Return a code trimmed and in NFC.

    Nothing else is changed: `0870` and `870`, `a` and `A` are different codes. Raise `TaxonomyError` if it is empty,
    too long or has control characters.
    """
    code = unicodedata.normalize("NFC", value).strip()
    if not code:
        raise TaxonomyError(f"{where}: {value!r:.80} is empty; give each category a code")
    if len(code) > CODE_CHARACTERS:
        raise TaxonomyError(f"{where}: {code!r:.80}… has {len(code)} characters; {CODE_CHARACTERS} are accepted")
    if any(unicodedata.category(character) in _CONTROL for character in code):
        raise TaxonomyError(f"{where}: {code!r:.80} has a control character; remove it")
    return code


@dataclass(frozen=True, slots=True)
class Category:
    """A category: the code that products carry, its label by language and its place in the tree."""

    code: str
    """Opaque and normalized; never parsed or sorted."""
    labels: Mapping[str, str] = field(default_factory=dict, hash=False)
    """By BCP 47 language tag, in the order in which they are preferred."""
    parent: str | None = None
    synonyms: tuple[str, ...] = ()
    guideline: str = ""
    """When a product belongs here, for people who label."""

    def __post_init__(self) -> None:
        if normalize_code(self.code) != self.code:
            raise TaxonomyError(f"code: {self.code!r:.80} is not trimmed NFC text; normalize it first")
        for text, limit in (
            *((label, LABEL_CHARACTERS) for label in self.labels.values()),
            *((synonym, LABEL_CHARACTERS) for synonym in self.synonyms),
            (self.guideline, GUIDELINE_CHARACTERS),
        ):
            if len(text) > limit:
                raise TaxonomyError(
                    f"category {self.code!r:.80}: {text!r:.40}… has {len(text)} characters; {limit} are accepted"
                )

    def label(self, *languages: str) -> str:
        """Return the label in the first of `languages` that has one, else the first label, else the code."""
        for language in languages:
            if label := self.labels.get(language):
                return label
        return next((label for label in self.labels.values() if label), self.code)
