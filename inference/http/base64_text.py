"""Decode base64 as clients write it (RFC 4648): both alphabets, line breaks, no padding, `data:` URLs."""

import binascii
import re

WHITESPACE = b" \t\r\n"
URL_SAFE, STANDARD = b"-_", b"+/"
_TO_STANDARD = bytes.maketrans(URL_SAFE, STANDARD)
_OTHER_CHARACTER = re.compile(rb"[^A-Za-z0-9+/=]")


def decode_base64(text: str) -> bytes:
    """Return the bytes that a text encodes.

    Accepted are the alphabets of RFC 4648, sections 4 and 5, but not both in one text, blanks and line breaks anywhere,
    padding that is complete or left out, and all of this in a `data:…;base64,` URL (RFC 2397).

    Raises:
        ValueError: With the reason, if the text is anything else, or encodes nothing although it is not empty.
    """
    try:
        decoded = binascii.a2b_base64(text, strict_mode=True)
    except ValueError:
        return _decode_variant(text)
    # a2b_base64 accepts surplus padding behind complete groups, which no encoder writes
    return _decode_variant(text) if text.endswith("=") and (len(text) % 4 or text.endswith("===")) else decoded


def _decode_variant(text: str) -> bytes:
    try:
        data = text.encode("ascii")
    except UnicodeEncodeError as error:
        raise ValueError(f"character {error.start}, {text[error.start]!r}, is not one of base64") from error
    if data[:5].lower() == b"data:":
        head, comma, data = data.partition(b",")
        if not comma or not head.rstrip().lower().endswith(b";base64"):
            raise ValueError("a data: URL must start with data:<media type>;base64,")
    data = data.translate(None, WHITESPACE)
    if any(character in data for character in URL_SAFE):
        if any(character in data for character in STANDARD):
            raise ValueError("it mixes the characters + and / with - and _; use one of the alphabets")
        data = data.translate(_TO_STANDARD)
    digits = data.rstrip(b"=")
    if other := _OTHER_CHARACTER.search(digits):
        raise ValueError(f"{other[0].decode()!r} is not a character of base64")
    if b"=" in digits or len(data) - len(digits) not in {0, -len(digits) % 4} or len(digits) % 4 == 1:
        raise ValueError(f"{len(digits)} characters and {len(data) - len(digits)} of padding '=' are incomplete")
    if not digits:
        raise ValueError("it encodes nothing (0 bytes)")
    return binascii.a2b_base64(digits + b"=" * (-len(digits) % 4))
