import pytest
from hypothesis import given
from hypothesis import strategies as st

from product_classifier.text.normalization import (
    DESCRIPTION_CHARACTERS_READ,
    DESIGNATION_CHARACTERS_READ,
    has_words,
    normalize,
)


@pytest.mark.parametrize(
    ("designation", "description", "expected"),
    [
        ("Été à la MER", "", "ete a la mer"),
        ("L&#39;&eacute;t&eacute;", None, "l ete"),
        ("<b>Table</b><br/>basse", "", "table basse"),
        ("ﬁn x² Ⅳ", "", "fin x2 iv"),
        ("Table", "<p>En bois</p>", "table\nen bois"),
        (None, "seul", "\nseul"),
        ("<p>&nbsp;</p>", "!!! --- ...", ""),
        ("a\x00b\udc00c", "", "a b c"),
        ("a < b and c > d", "", "a d"),
        ("", None, ""),
        ("日本語 кот", "", "日本語 кот"),
    ],
)
def test_text_is_normalized(designation: str, description: str, expected: str) -> None:
    assert (expected, expected != "") == (normalize(designation, description), has_words(designation, description))


def test_a_very_long_text_is_truncated() -> None:
    text = normalize("mot " * 3_000_000, "<" * 10_000_000)

    assert len(text) <= DESIGNATION_CHARACTERS_READ + DESCRIPTION_CHARACTERS_READ + 1


@given(st.text(max_size=200), st.text(max_size=200))
def test_normalized_text_is_stable_and_bounded(designation: str, description: str) -> None:
    once = normalize(designation, description)

    title, _, body = once.partition("\n")
    assert once == normalize(title, body)
    assert once == "" or any(map(str.isalnum, once))
