"""Starlette has the internals that inference/compat/starlette.py uses."""

from collections.abc import AsyncGenerator
from importlib.metadata import version

import pytest
from starlette.datastructures import FormData, Headers
from starlette.formparsers import MultiPartException, MultiPartParser, MultipartPart

from inference.compat.starlette import Utf8MultiPartParser

HINT = f"starlette {version('starlette')} parses forms in another way; adapt inference/compat/starlette.py"


async def parse(text: bytes, charset: str = "") -> FormData:
    body = b'--x\r\nContent-Disposition: form-data; name="designation"\r\n\r\n' + text + b"\r\n--x--\r\n"

    async def chunks() -> AsyncGenerator[bytes, None]:
        yield body

    headers = Headers({"content-type": f"multipart/form-data; boundary=x{charset}"})
    return await Utf8MultiPartParser(headers, chunks()).parse()


@pytest.mark.parametrize("charset", ["", "; charset=iso-8859-1", "; charset=utf-16", "; charset=unknown"])
async def test_a_text_is_decoded_as_utf_8_whatever_charset_is_named(charset: str) -> None:
    assert {"designation": "été 木"} == dict(await parse("été 木".encode(), charset)), HINT


@pytest.mark.parametrize("charset", ["", "; charset=iso-8859-1"])
async def test_a_text_that_is_not_utf_8_is_an_error_that_names_its_field(charset: str) -> None:
    with pytest.raises(MultiPartException, match="'designation' is not UTF-8 at byte 1"):
        await parse("xé".encode("latin-1"), charset)


def test_the_parser_has_the_attributes_that_are_used() -> None:
    async def nothing() -> AsyncGenerator[bytes, None]:
        yield b""

    parser = MultiPartParser(Headers(), nothing())
    assert all(hasattr(parser, name) for name in ("_charset", "_current_part", "on_part_end")), HINT
    assert all(hasattr(MultipartPart(), name) for name in ("file", "data", "field_name")), HINT
