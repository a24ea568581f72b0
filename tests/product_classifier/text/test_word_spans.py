"""Words are found where the user wrote them, and are those that the models read."""

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from product_classifier.text.normalization import DESIGNATION_CHARACTERS_READ, normalize
from product_classifier.text.word_spans import word_spans
from tests.support.adversarial_texts import ADVERSARIAL_TEXTS


@settings(max_examples=400)
@given(ADVERSARIAL_TEXTS, ADVERSARIAL_TEXTS)
def test_the_words_are_those_of_the_normalized_text(designation: str, description: str) -> None:
    words = word_spans(designation, description)

    assert normalize(designation, description).split() == [one.word for one in words]


@given(ADVERSARIAL_TEXTS, st.sampled_from(["designation", "description"]))
def test_spans_are_in_order_and_within_their_field(text: str, field: str) -> None:
    words = word_spans(**{"designation": "", "description": ""} | {field: text})

    assert {field} >= {one.field for one in words}
    assert all(0 <= one.start < one.end <= len(text) for one in words)
    assert sorted(one.start for one in words) == [one.start for one in words]
    assert sorted(one.end for one in words) == [one.end for one in words]


@pytest.mark.parametrize(
    ("text", "written"),
    [
        ("Piscine  gonflable, 3 m", ["Piscine", "gonflable", "3", "m"]),
        ("<p class='x'>Livre</p><br/>neuf", ["Livre", "neuf"]),
        ("caf&eacute; &amp;eacute;t&eacute;", ["caf&eacute;", "&amp;eacute;t&eacute;"]),
        ("&lt;b&gt;gras&lt;/b&gt;", ["gras"]),
        ("R&D l&#39;eau", ["R", "D", "l", "eau"]),
        ("Ã©tÃ© Ã\xa0 NoÃ«l", ["Ã©tÃ©", "Ã\xa0", "NoÃ«l"]),
        ("ÉTÉ e\u0301te\u0301 ﬁn", ["ÉTÉ", "e\u0301te\u0301", "ﬁn"]),
        ("pis\xadcine x\u200by", ["pis\xadcine", "x\u200by"]),
        ("İstanbul ΑΣ", ["İstanbul", "ΑΣ"]),
        ("nan", []),
        ("", []),
    ],
)
def test_a_word_is_what_the_user_wrote(text: str, written: list[str]) -> None:
    found = [text[one.start : one.end] for one in word_spans(text, None)]

    assert written == found


def test_a_word_that_is_read_in_part_ends_where_the_models_stop() -> None:
    (word,) = word_spans("x" * (DESIGNATION_CHARACTERS_READ + 5), "")

    assert (0, DESIGNATION_CHARACTERS_READ) == (word.start, word.end)
