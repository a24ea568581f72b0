"""Determine the encoding of a whole file, and decode it line by line.

A file is UTF-8 if all of it is. Else it is Windows-1252 if it looks like text in that encoding, else an error: a wrong
encoding would silently spoil the text that models are trained on.
"""

import codecs
import io
import re
from collections.abc import Iterator
from pathlib import Path
from typing import BinaryIO, Final

from product_classifier.catalogue.tables.byte_streams import open_bytes
from product_classifier.errors import CatalogueError
from product_classifier.text.mojibake import UNDEFINED_BYTES

MIXED: Final = "mixed"
"""Encoding of a file whose lines are UTF-8 or Windows-1252, each by itself."""
UTF_8: Final = "utf-8"
CP1252: Final = "cp1252"

_BOMS: Final = (
    (codecs.BOM_UTF8, "utf-8-sig"),
    (codecs.BOM_UTF32_LE, "utf-32"),
    (codecs.BOM_UTF32_BE, "utf-32"),
    (codecs.BOM_UTF16_LE, "utf-16"),
    (codecs.BOM_UTF16_BE, "utf-16"),
)
_CHUNK: Final = 1024 * 1024
_NON_ASCII: Final = re.compile(rb"[\x80-\xff]+")
_UTF_8_CHARACTER: Final = re.compile(rb"[\xc2-\xdf][\x80-\xbf]|[\xe0-\xef][\x80-\xbf]{2}|[\xf0-\xf4][\x80-\xbf]{3}")
_LONG_RUN: Final = 3
"""Successive accented letters that Western European text hardly has, and Cyrillic or Greek in one byte always."""
_SYMBOL_IN_WORD: Final = re.compile(rb"(?<=[a-z])[\x82-\x84\x86-\x90\x9d]|(?<=[a-z])[\xa0-\xb6\xb8-\xbf](?=[a-z])")
"""Bytes that Windows-1252 hardly has after a small letter; in IBM850 and Mac Roman they are accented letters."""


def detect_encoding(path: Path) -> str:
    """Return the encoding of a text file: by its byte order mark, UTF-8, or Windows-1252.

    Raises:
        CatalogueError: If none fits; the message names line and byte.
    """
    with open_bytes(path) as stream:
        head = stream.read(4)
        for bom, encoding in _BOMS:
            if head.startswith(bom):
                return encoding
    if (invalid := _first_invalid(path, UTF_8)) is None:
        return UTF_8
    line, byte, column = invalid
    place = f"{path.name} line {line}: byte {byte:#04x} (position {column} of the line)"
    utf_8, others, in_long_runs, symbols = _count_non_ascii(path)
    if utf_8 > others:
        raise CatalogueError(
            f"{place} is not UTF-8, the rest of the file is; correct it, or set `encoding: {MIXED}` to read such lines"
            f" as {CP1252}"
        )
    undefined = _first_invalid(path, CP1252)
    if undefined is not None or 5 * in_long_runs > others or 3 * symbols > others:
        raise CatalogueError(
            f"{place} is not UTF-8, and the file does not look like {CP1252}; set `encoding:` to the file's encoding,"
            " such as cp1251, cp850 or shift_jis"
        )
    return CP1252


def decoded_lines(path: Path, encoding: str) -> Iterator[str]:
    """Yield the lines of a text file, line endings included.

    Raises:
        CatalogueError: If the encoding is unknown or a line is not in it.
    """
    if encoding == MIXED:
        yield from _mixed_lines(path)
        return
    try:
        codecs.lookup(encoding)
    except LookupError:
        raise CatalogueError(
            f"encoding: {encoding!r} is not known; write one such as utf-8, cp1252, utf-16 or {MIXED}"
        ) from None
    number = 0
    with open_bytes(path) as stream:
        # newline="" keeps the endings, as the csv module requires.
        text = io.TextIOWrapper(stream, encoding=encoding, newline="")
        try:
            for number, line in enumerate(text, 1):  # noqa: B007 - used in the message
                yield line
        except UnicodeError as error:
            raise CatalogueError(
                f"{path.name} after line {number}: is not {encoding} ({getattr(error, 'reason', error)}); correct it,"
                " or set `encoding:`"
            ) from error
        finally:
            text.detach()


def _mixed_lines(path: Path) -> Iterator[str]:
    with open_bytes(path) as stream:
        head = stream.read(4)
    encoding = next((encoding for mark, encoding in _BOMS if head.startswith(mark)), None)
    with open_bytes(path) as stream:
        if encoding not in {None, "utf-8-sig"}:
            text = io.TextIOWrapper(stream, encoding=encoding, errors="replace", newline="")
            yield from text
            text.detach()
            return
        for number, chunk in enumerate(stream):
            line_bytes = chunk.removeprefix(codecs.BOM_UTF8) if number == 0 else chunk
            yield from map(decode_line, line_bytes.splitlines(keepends=True))


def decode_line(line: bytes) -> str:
    """Decode a line as UTF-8, else as Windows-1252, whose undefined bytes become control characters."""
    try:
        return line.decode()
    except UnicodeDecodeError:
        return "".join(chr(byte) if byte in UNDEFINED_BYTES else bytes([byte]).decode(CP1252) for byte in line)


def _chunks(stream: BinaryIO) -> Iterator[bytes]:
    while chunk := stream.read(_CHUNK):
        yield chunk


def _first_invalid(path: Path, encoding: str) -> tuple[int, int, int] | None:
    """Return line, byte and position in the line of the first byte that is not in an encoding."""
    decoder = codecs.getincrementaldecoder(encoding)()
    line, before, pending = 1, b"", b""
    with open_bytes(path) as stream:
        for chunk in _chunks(stream):
            try:
                decoder.decode(chunk)
            except UnicodeDecodeError as error:
                data = before + error.object
                at = len(before) + error.start
                return (
                    line + data.count(b"\n", 0, at),
                    data[at],
                    at - (data.rfind(b"\n", 0, at) + 1) + 1,
                )
            pending = decoder.getstate()[0]
            done = before + chunk[: len(chunk) - len(pending)] if pending else before + chunk
            line += done.count(b"\n")
            before = done[done.rfind(b"\n") + 1 :]
        try:
            decoder.decode(b"", final=True)
        except UnicodeDecodeError as error:
            return line, error.object[error.start], len(before) + 1
    return None


def _count_non_ascii(path: Path) -> tuple[int, int, int, int]:
    """Count UTF-8 characters, other bytes above 0x7f, those of them in long runs, and symbols inside words."""
    utf_8 = others = in_long_runs = symbols = 0
    with open_bytes(path) as stream:
        for chunk in _chunks(stream):
            for run in _NON_ASCII.findall(chunk):
                characters = _UTF_8_CHARACTER.findall(run)
                rest = len(run) - sum(map(len, characters))
                utf_8 += len(characters)
                others += rest
                in_long_runs += rest if len(run) >= _LONG_RUN else 0
            symbols += len(_SYMBOL_IN_WORD.findall(chunk))
    return utf_8, others, in_long_runs, symbols
