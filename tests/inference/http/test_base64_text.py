"""Base64 as clients write it decodes to the same bytes; anything else is refused with the reason."""

import base64
import textwrap

import pytest
from hypothesis import given
from hypothesis import strategies as st

from inference.http.base64_text import decode_base64

ALPHABETS = [base64.b64encode, base64.urlsafe_b64encode]
PREFIXES = ["", "data:image/jpeg;base64,", "DATA:image/png;charset=x;BASE64,", "data:;base64,"]


@given(
    st.binary(min_size=1, max_size=200),
    st.sampled_from(ALPHABETS),
    st.sampled_from(["", "\n", "\r\n", " ", "\t"]),
    st.integers(1, 80),
    st.booleans(),
    st.sampled_from(PREFIXES),
)
def test_every_spelling_is_decoded(
    data: bytes, encode: "type[bytes]", newline: str, width: int, padded: bool, prefix: str
) -> None:
    text = encode(data).decode()  # type: ignore[attr-defined]
    text = text if padded else text.rstrip("=")
    lines = newline.join(textwrap.wrap(text, width)) if newline else text

    assert data == decode_base64(prefix + lines + newline)


def test_no_text_is_no_bytes() -> None:
    assert b"" == decode_base64("")


@pytest.mark.parametrize(
    ("text", "reason"),
    [
        ("QUJD!", "'!' is not a character of base64"),
        ("QUJ\0", r"'\\x00' is not a character"),
        ("QUJDé", "character 4, 'é'"),
        ("QQ%3D%3D", "'%' is not a character"),
        ("+/-_", "mixes the characters"),
        ("Q", "1 characters"),
        ("QUJDQ", "5 characters"),
        ("QQ=", "1 of padding"),
        ("QQ===", "3 of padding"),
        ("QUJD=", "1 of padding"),
        ("QUJD====", "4 of padding"),
        ("QQ==QQ==", "incomplete"),
        ("====", "incomplete"),
        (" \n", "encodes nothing"),
        ("data:image/jpeg;base64,", "encodes nothing"),
        ("data:image/jpeg,QUJD", "must start with data:<media type>;base64,"),
        ("data:image/jpeg;base64", "must start with data:<media type>;base64,"),
        ("http://x/photo.jpg", "':' is not a character"),
        ("data:image/jpeg;base64,data:image/jpeg;base64,QUJD", "':' is not a character"),
    ],
)
def test_anything_else_is_refused_with_the_reason(text: str, reason: str) -> None:
    with pytest.raises(ValueError, match=reason):
        decode_base64(text)


@given(st.text(max_size=30))
def test_any_text_is_decoded_or_refused(text: str) -> None:
    try:
        decoded = decode_base64(text)
    except ValueError:
        return
    assert bool(text) == bool(decoded)
