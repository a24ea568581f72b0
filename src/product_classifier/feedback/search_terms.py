"""Words by which products are found in an index: lower case, without accents, markup and punctuation."""

from product_classifier.errors import InvalidInput
from product_classifier.limits import LISTED_CHARACTERS
from product_classifier.text.normalization import normalize
from product_classifier.text.writing_systems import comparison_terms

TOKENIZER = "unicode61 categories 'L* N* Co Mn Mc'"
"""Tokenizer of an FTS5 table of such words, which keeps them as they are."""
MAX_WORDS = 20


def search_text(designation: str | None, description: str | None) -> str:
    """Return the words of a product separated by blanks; a run without blanks is its pairs of characters.

    Only the characters that a list shows are searched, see `LISTED_CHARACTERS`.
    """
    texts = ((text or "")[:LISTED_CHARACTERS] for text in (designation, description))
    return " ".join(comparison_terms(normalize(*texts)))


def match_expression(query: str) -> str:
    """Return the FTS5 expression of texts that have a word starting with each word of a query.

    Raises:
        InvalidInput: If the query has no letter and no digit.
    """
    words = list(dict.fromkeys(comparison_terms(normalize(query, ""))))[:MAX_WORDS]
    if not words:
        raise InvalidInput(f"q: {query[:60]!r} has no letter or digit; search for a word of the product")
    return " ".join(f'"{word}"*' for word in words)
