from collections.abc import Callable
from hashlib import sha256

import pytest
from hypothesis import given
from hypothesis import strategies as st

from product_classifier.catalogue.challenge.sample.offers import offer, season_start
from product_classifier.text.mojibake import repair
from product_classifier.text.normalization import (
    DESCRIPTION_CHARACTERS_READ,
    DESIGNATION_CHARACTERS_READ,
    has_words,
    normalize,
    strip_markup,
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
        ("TÃ©lÃ©commande", "â€œneufâ€\x9d", "telecommande\nneuf"),
        ("t&amp;eacute;l&amp;#233;&amp;nbsp;sur", "&amp;lt;b&amp;gt;pied", "tele sur\npied"),
        ("H&amp;M ?a=1&amp;copy=2", "", "h m a 1 copy 2"),
        ("T&Atilde;&copy;l&eacute;", "", "tele"),
        ("Télé\xadcom\u200bman\u200dde", "\ufeffneu\u2060f\u202c", "telecommande\nneuf"),
        ("T&eacute;l&shy;&eacute;&zwj;com", "", "telecom"),
        ("a\x01b", "", "ab"),
        ("nan", "None", ""),
        (" NULL ", "<p>NaN</p>", ""),
        ("Nantes", "null part", "nantes\nnull part"),
        ("Table", "nan", "table"),
        ("&#" + "9" * 4301, "&#xD800;&#x110000;", ""),
        ("", "&#" + "0" * 5000 + "65;", "\na"),
        ("a" + "\u0301" * 1500 + "b", "", "ab"),
        ("<br/>", "___", ""),
        ("\u202e!!!", "&nbsp;", ""),
    ],
)
def test_text_is_normalized(designation: str, description: str, expected: str) -> None:
    assert (expected, expected != "") == (normalize(designation, description), has_words(designation, description))


@pytest.mark.parametrize(
    ("prepare", "expected"),
    [
        (normalize, "2fa14d2eacd1fb9729d875ebf9ef5481081817ff430bdd9865cc4795bb8ecb90"),
        (strip_markup, "a8f5765cf8fd9d4cdbd10f3f0e1d07d6bd1c2c94fa1bdef09048993ec44ee69f"),
    ],
)
def test_texts_of_the_sample_are_prepared_as_by_the_first_version(
    prepare: Callable[[str, str], str], expected: str
) -> None:
    """Models trained by earlier versions read these texts."""
    digest = sha256()
    for number in range(1500):
        made = offer(27, number, season_start(1500))
        digest.update(prepare(repair(made.title), repair(made.description)).encode() + b"\0")

    assert expected == digest.hexdigest()


def test_a_missing_value_is_not_read_by_encoders() -> None:
    assert "Table\n" == strip_markup("Table", "nan")
    assert "" == strip_markup("None", "NULL")


def test_a_very_long_text_is_truncated() -> None:
    text = normalize("mot " * 3_000_000, "<" * 10_000_000)

    assert len(text) <= DESIGNATION_CHARACTERS_READ + DESCRIPTION_CHARACTERS_READ + 1


@given(st.text(max_size=200), st.text(max_size=200))
def test_normalized_text_is_stable_and_bounded(designation: str, description: str) -> None:
    once = normalize(designation, description)

    title, _, body = once.partition("\n")
    assert once == normalize(title, body)
    assert once == "" or any(map(str.isalnum, once))
