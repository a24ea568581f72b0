import pytest
from hypothesis import given
from hypothesis import strategies as st

from product_classifier.catalogue.encodings import decode_lines, repair

FRENCH = "àâäçéèêëîïôöùûüÿœæÀÂÇÉÈÊÎÔÛŒ°«»€’…–"


def test_lines_of_different_encodings_are_decoded() -> None:
    data = "été\n".encode() + "hiver à Orléans\n".encode("cp1252") + "prix: 5 €\n".encode("cp1252")

    assert list(decode_lines(data)) == ["été\n", "hiver à Orléans\n", "prix: 5 €\n"]


@pytest.mark.parametrize("encoding", ["utf-8-sig", "utf-16"])
def test_a_byte_order_mark_is_not_part_of_the_text(encoding: str) -> None:
    assert list(decode_lines("a,é\r\nb\n".encode(encoding))) == ["a,é\r\n", "b\n"]


@given(st.binary(max_size=300))
def test_any_bytes_are_decoded(data: bytes) -> None:
    utf16 = data[:2] in (b"\xff\xfe", b"\xfe\xff")  # may have a byte too few for one character
    text = data.removeprefix(b"\xef\xbb\xbf")

    assert utf16 or bool(text) == bool(list(decode_lines(data)))


@pytest.mark.parametrize("char", FRENCH)
def test_mojibake_is_repaired(char: str) -> None:
    damaged = "".join(
        chr(b) if b in (0x81, 0x8D, 0x8F, 0x90, 0x9D) else bytes([b]).decode("cp1252") for b in char.encode()
    )

    assert repair(f"a{damaged}b") == f"a{char}b"


def test_double_mojibake_is_repaired() -> None:
    assert repair("été".encode().decode("cp1252").encode().decode("cp1252")) == "été"


@given(st.text(st.sampled_from(FRENCH.replace("Â", "").replace("â", "") + "abc 12"), max_size=60))
def test_correct_french_is_unchanged(text: str) -> None:
    assert repair(text) == text.strip()


@pytest.mark.parametrize("text", ["CAFÉ» fermé", "PROGRÈS…", "GÂTEAU", "pâté", "São Paulo", "Ärzte"])
def test_words_that_resemble_mojibake_are_unchanged(text: str) -> None:
    assert repair(text) == text


def test_control_characters_are_removed() -> None:
    assert repair("a\x00b\x1f c\n\x7f") == "ab c"
