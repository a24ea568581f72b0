import pytest

from product_classifier.text.spelling import letters


@pytest.mark.parametrize(
    "spelling",
    [
        "Étui en cuir, noir",
        "  etui  EN cuir noir ",
        "<p>Étui <b>en</b> cuir – noir&nbsp;!</p>",
        "&Eacute;tui en cuir (noir)",
        "E\u0301tui en cuir noir",
        "Étui en cu\u00adir\u200b noir",
        "Étui-en-cuir_noir",
        "ＥＴＵＩ en cuir noir",
        "Ã‰tui en cuir noir",
        "&amp;Eacute;tui en cuir noir",
    ],
)
def test_the_spellings_of_a_text_have_equal_letters(spelling: str) -> None:
    assert "etuiencuirnoir" == letters(spelling)


@pytest.mark.parametrize(
    "text",
    ["&#" + "9" * 5000, "\ud800", "&#x110000;&#xD800;", "\0", "<" * 60_000, "\u0301" * 200_000, "\ufdfa" * 50_000],
)
def test_every_text_has_letters_or_none(text: str) -> None:
    assert all(map(str.isalnum, letters(text)))


def test_other_words_have_other_letters() -> None:
    assert letters("Étui noir") != letters("Étui rouge")
