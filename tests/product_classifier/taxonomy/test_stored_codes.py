"""Tests of codes in stored JSON: formats of integer codes stay as they were, and no text changes."""

import json

import pytest
from hypothesis import given
from hypothesis import strategies as st

from product_classifier.taxonomy.stored_codes import from_stored, to_stored


@pytest.mark.parametrize(
    ("code", "stored"),
    [
        ("10", 10),
        ("0", 0),
        ("-5", -5),
        ("0870", "0870"),
        ("1e5", "1e5"),
        ("+1", "+1"),
        ("-0", "-0"),
        ("²", "²"),
        ("٣", "٣"),
        ("9" * 30, "9" * 30),
        (str(2**63), str(2**63)),
        ("food > tea", "food > tea"),
    ],
)
def test_only_the_decimal_text_of_an_integer_is_stored_as_a_number(code: str, stored: str | int) -> None:
    assert to_stored(code) == stored
    assert type(to_stored(code)) is type(stored)


@given(st.one_of(st.text(), st.integers().map(str)))
def test_every_code_is_read_as_it_was(code: str) -> None:
    assert from_stored(json.loads(json.dumps(to_stored(code)))) == code


@pytest.mark.parametrize("value", [None, True, 1.5, [], {}])
def test_anything_else_is_refused(value: object) -> None:
    with pytest.raises(ValueError, match="is neither a text nor an integer"):
        from_stored(value)
