from hypothesis import given
from hypothesis import strategies as st

from product_classifier.text.mojibake import repair, undo_mojibake
from product_classifier.text.normalization import normalize, strip_markup

FRENCH = "àâäçéèêëîïôöùûüÿœæÀÂÇÉÈÊÎÔÛŒ°«»€’…–"
SEQUENCES = st.text(st.sampled_from("ÃÂÅâƒ©€™\x99\xa0\xad\x01 \u200bé&;amp#<>"), max_size=40)


def garble(text: str, times: int) -> str:
    for _ in range(times):
        text = "".join(
            chr(byte) if byte in (0x81, 0x8D, 0x8F, 0x90, 0x9D) else bytes([byte]).decode("cp1252")
            for byte in text.encode()
        )
    return text


@given(st.text(st.sampled_from("éàêœÉ’ abc"), max_size=30), st.integers(1, 2))
def test_text_that_was_decoded_wrongly_once_or_twice_is_repaired(text: str, times: int) -> None:
    assert text.strip() == repair(garble(text, times))


@given(SEQUENCES)
def test_repairing_twice_changes_nothing_more(text: str) -> None:
    assert repair(text) == repair(repair(text))
    assert undo_mojibake(text) == undo_mojibake(undo_mojibake(text))


@given(SEQUENCES, SEQUENCES)
def test_a_text_reads_the_same_from_a_file_and_from_a_request(designation: str, description: str) -> None:
    """The catalogue repairs a text before the models read it; a request does not."""
    from_file = repair(designation), repair(description)

    assert normalize(designation, description) == normalize(*from_file)
    assert strip_markup(designation, description) == strip_markup(*from_file)


def test_a_sequence_inside_another_is_repaired() -> None:
    assert "xé et à" == repair("xÃÂ© et Ãƒ\xa0")
