import html
import time
import unicodedata
from collections.abc import Callable

import pytest
from hypothesis import given
from hypothesis import strategies as st

from product_classifier.text.characters import MARKS_IN_A_ROW, compose, decompose, limit_marks, unescape

ENTITIES = st.text(st.sampled_from("&#xX;aAé0123456789 "), max_size=60)


@given(ENTITIES | st.text(max_size=60))
def test_references_are_replaced_as_by_the_standard_library(text: str) -> None:
    assert html.unescape(text) == unescape(text)


@pytest.mark.parametrize("digits", [18, 4_300, 4_301, 100_000])
@pytest.mark.parametrize("end", [";", " ", ""])
def test_a_decimal_reference_may_have_any_number_of_digits(digits: int, end: str) -> None:
    assert f"\ufffd{end.strip(';')}" == unescape(f"&#{'9' * digits}{end}")
    assert f"A{end.strip(';')}" == unescape(f"&#{'0' * digits}65{end}")


@given(st.text(max_size=400))
def test_decomposition_differs_from_nfkd_only_in_the_order_of_marks(text: str) -> None:
    assert unicodedata.normalize("NFKD", text) == unicodedata.normalize("NFKD", decompose(text))


@given(st.text(st.characters() | st.sampled_from("e\u0301\u0316\u0344\uff9e"), max_size=30))
def test_a_text_with_few_marks_in_a_row_is_composed_as_by_the_standard_library(text: str) -> None:
    assert unicodedata.normalize("NFKC", text) == compose(text)


def test_at_most_thirty_marks_in_a_row_are_kept() -> None:
    assert "a" + "\u0301" * MARKS_IN_A_ROW + "b\u0301" == limit_marks("a" + "\u0301" * 1000 + "b\u0301")


def test_every_combining_mark_of_unicode_is_limited() -> None:
    marks = [c for c in map(chr, range(0x110000)) if unicodedata.combining(unicodedata.normalize("NFKD", c)[0])]

    assert [] == [mark for mark in marks if len(limit_marks(mark * 40)) > MARKS_IN_A_ROW]


@pytest.mark.parametrize("function", [unescape, decompose, compose])
@pytest.mark.parametrize("unit", ["\u0301", "\u0344", "\uff9e", "\u0301\u0316", "\ufdfa", "&#9", "&#x", "&a", "&", "é"])
def test_the_cost_of_a_character_does_not_grow(function: Callable[[str], str], unit: str) -> None:
    small = unit * (20_000 // len(unit))
    function(small)

    assert _seconds(function, small * 4) <= 12 * _seconds(function, small) + 0.02


def _seconds(function: Callable[[str], str], text: str) -> float:
    durations = []
    for _ in range(3):
        start = time.process_time()
        function(text)
        durations.append(time.process_time() - start)
    return min(durations)
