"""Reading what a client sent, strictly: bounded, one meaning, and every error says where."""

import asyncio
import binascii
import json
from typing import Any, NoReturn
from urllib.parse import parse_qsl

from starlette.types import Receive

from inference.http.problem_document import Problem
from inference.http.problems import shown

MAX_DEPTH = 32
FORM_TYPE = "application/x-www-form-urlencoded"


async def read_body(receive: Receive, limit: int, timeout_s: float) -> bytes:
    """Return the whole body; 413 as soon as it is too long, 408 when it comes too slowly."""
    message = None
    chunks: list[bytes] = []
    size = 0
    try:
        async with asyncio.timeout(timeout_s):
            while message is None or message.get("more_body", False):
                message = await receive()
                if message["type"] == "http.disconnect":
                    raise Problem(400, "the connection was closed before the body was complete", close=True)
                chunk = message.get("body", b"")
                size += len(chunk)
                if size > limit:
                    raise too_large(limit)
                chunks.append(chunk)
    except TimeoutError as error:
        raise Problem(408, f"the body did not arrive within {timeout_s:g} s", close=True) from error
    return chunks[0] if len(chunks) == 1 else b"".join(chunks)


def too_large(limit: int) -> Problem:
    """Return the problem of a body over its limit."""
    return Problem(413, f"the body is longer than {limit} bytes", kind="body-too-large")


def strict_json(data: bytes, max_depth: int = MAX_DEPTH) -> Any:
    """Return the one meaning of a JSON text; everything with none or two is refused."""
    try:
        value = json.loads(data.decode("utf-8"), object_pairs_hook=_unique, parse_constant=_constant)
    except UnicodeDecodeError as error:
        raise _malformed(f"byte {error.start} is not UTF-8") from error
    except json.JSONDecodeError as error:
        raise _malformed(f"{error.msg} at line {error.lineno}, column {error.colno}") from error
    except RecursionError as error:
        raise _malformed(f"more than {max_depth} levels deep") from error
    except ValueError as error:
        raise _malformed("a number has too many digits") from error
    if _deeper(value, max_depth):
        raise _malformed(f"more than {max_depth} levels deep")
    return value


def strict_base64(text: str, where: str) -> bytes:
    """Return the bytes of a base64 text; `where` names the field."""
    try:
        data = text.encode("ascii")
    except UnicodeEncodeError as error:
        raise Problem(422, f"{where}: character {error.start} is not base64", kind="invalid-image") from error
    try:
        # the strict mode itself takes four padding characters where none belong
        return binascii.a2b_base64(data if not data.endswith(b"===") else b"=", strict_mode=True)
    except binascii.Error as error:
        hint = " (send the base64 alone, without data:…;base64,)" if text.startswith("data:") else ""
        raise Problem(
            422, f"{where}: not base64: {str(error).lower()}, in {shown(text)}{hint}", kind="invalid-image"
        ) from error


def strict_form(data: bytes, content_type: str, known: frozenset[str]) -> dict[str, str]:
    """Return the fields of a form, each at most once and each known."""
    if content_type.split(";", maxsplit=1)[0].strip().lower() != FORM_TYPE:
        raise Problem(415, f"the body must be {FORM_TYPE}, not {shown(content_type)}")
    try:
        pairs = parse_qsl(
            data.decode("ascii"), keep_blank_values=True, strict_parsing=True, errors="strict", max_num_fields=10
        )
    except (UnicodeError, ValueError) as error:
        raise Problem(400, "the body is not a form", kind="malformed-form") from error
    fields = dict(pairs)
    if len(fields) != len(pairs):
        raise Problem(400, "a form field is given twice", kind="malformed-form")
    if unknown := sorted(set(fields) - known):
        raise Problem(422, f"unknown form field {shown(unknown[0])}", kind="unknown-field")
    return fields


def _malformed(reason: str) -> Problem:
    return Problem(400, f"the body is not JSON we accept: {reason}", kind="malformed-json")


def _unique(pairs: list[tuple[str, Any]]) -> dict[str, Any]:
    found = dict(pairs)
    if len(found) != len(pairs):
        seen: set[str] = set()
        for name, _ in pairs:
            if name in seen:
                raise _malformed(f"the field {shown(name)} is given twice")
            seen.add(name)
    return found


def _constant(name: str) -> NoReturn:
    raise _malformed(f"{name} is not a JSON number")


def _deeper(value: Any, levels: int) -> bool:
    if not isinstance(value, dict | list):
        return False
    if levels == 0:
        return True
    members = value.values() if isinstance(value, dict) else value
    return any(_deeper(member, levels - 1) for member in members)
