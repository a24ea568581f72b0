"""Structure of JSON is bounded before it is parsed, in time linear in its size."""

import json
import time
from collections.abc import Callable
from contextlib import suppress
from typing import Any

import pytest
from hypothesis import example, given
from hypothesis import strategies as st

from inference.http.bodies import MAX_DIGITS, strict_json
from inference.http.json_structure import MAX_DEPTH, structure_error
from inference.http.problems import Problem
from product_classifier.limits import JSON_VALUES, PHOTO_BODY_BYTES

STRINGS = st.text(max_size=6) | st.sampled_from(['"', "\\", '\\"', "\\\\", "[{,", '",[{', "é\u2028😀", "\ud800"])
VALUES = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats(allow_nan=False, allow_infinity=False) | STRINGS,
    lambda inner: st.lists(inner, max_size=5) | st.dictionaries(STRINGS, inner, max_size=5),
    max_leaves=30,
)


def count(value: object) -> int:
    members = value.values() if isinstance(value, dict) else value if isinstance(value, list) else ()
    return 1 + sum(map(count, members))


def depth(value: object) -> int:
    members = value.values() if isinstance(value, dict) else value if isinstance(value, list) else None
    return 0 if members is None else 1 + max(map(depth, members), default=0)


@given(VALUES, st.booleans(), st.sampled_from([None, 1]))
def test_a_document_within_the_bounds_is_parsed_as_json_does(value: object, ascii_only: bool, indent: int) -> None:
    try:
        body = json.dumps(value, ensure_ascii=ascii_only, indent=indent).encode()
    except UnicodeEncodeError:
        return
    assert value == strict_json(body, max_values=2 * count(value))


@given(VALUES)
def test_a_document_over_a_bound_is_refused(value: object) -> None:
    body = json.dumps([value]).encode()

    assert f"more than {count(value)} values" == structure_error(body, max_values=count(value))
    assert f"nested more than {depth(value)} levels deep" == structure_error(
        body, max_values=10**6, max_depth=depth(value)
    )


@given(st.binary(max_size=60) | st.text('[]{}",:\\1 ue', max_size=60).map(str.encode))
@example(b'"\\')
@example(b'["\\"')
@example(b'"\\u12"[[')
@example(b"]]]][[[[")
def test_any_bytes_are_parsed_or_refused_as_json_does(body: bytes) -> None:
    def parse(read: Callable[[bytes], Any]) -> bool:
        try:
            read(body)
        except (Problem, ValueError, RecursionError):
            return False
        return True

    if parse(strict_json):
        json.loads(body)
    elif parse(json.loads):
        with pytest.raises(Problem, match=r"given twice|is not a JSON number|is not UTF-8"):
            strict_json(body)


def filled(start: bytes, unit: bytes, end: bytes = b"") -> bytes:
    return start + unit * ((PHOTO_BODY_BYTES - len(start) - len(end)) // len(unit)) + end


COSTLY: dict[str, Callable[[], bytes]] = {
    "empty lists": lambda: filled(b"[", b"[],", b"[]]"),
    "empty objects": lambda: filled(b"[", b"{},", b"{}]"),
    "elements": lambda: filled(b"[", b"0,", b"0]"),
    "keys": lambda: b"{" + b",".join(b'"%d":1' % number for number in range(1_000_000)) + b"}",
    "keys of empty objects": lambda: b"{" + b",".join(b'"%d":{}' % number for number in range(700_000)) + b"}",
    "one key repeated": lambda: filled(b"{", b'"a":1,', b'"a":1}'),
    "openers": lambda: filled(b"", b"["),
    "objects in objects": lambda: filled(b"", b'{"":'),
    "closers": lambda: filled(b"", b"]"),
    "closers after openers": lambda: filled(b"[" * 20, b"]"),
    "commas": lambda: filled(b"[", b","),
    "colons": lambda: filled(b"[", b":"),
    "spaces": lambda: filled(b"[", b" ", b"]"),
    "digits": lambda: filled(b"[", b"1", b"]"),
    "fraction": lambda: filled(b"[1.", b"1", b"]"),
    "exponent": lambda: filled(b"[1e", b"1", b"]"),
    "long integers": lambda: b"[" + b",".join([b"7" * 2900] * 4000) + b"]",
    "long string": lambda: filled(b'["', b"a", b'"]'),
    "unicode escapes": lambda: filled(b'["', b"\\u00e9", b'"]'),
    "surrogate pairs": lambda: filled(b'["', b"\\ud83d\\ude00", b'"]'),
    "backslashes": lambda: filled(b'["', b"\\\\", b'"]'),
    "quotes": lambda: filled(b'["', b'\\"', b'"]'),
    "quotes without end": lambda: filled(b'["', b'\\"'),
    "bad escapes": lambda: filled(b"[", b'"\\x",', b"1]"),
    "structure in strings": lambda: filled(b'["', b"[{,:", b'"]'),
    "empty strings": lambda: filled(b"[", b'"",', b"1]"),
    "wide characters": lambda: filled(b'["', "😀".encode(), b'"]'),
    "bytes that are not UTF-8": lambda: filled(b'["', b"\xff", b'"]'),
}


@pytest.mark.parametrize("name", COSTLY)
def test_costly_json_of_the_largest_body_is_bounded(name: str) -> None:
    body = COSTLY[name]()

    began = time.process_time()
    with suppress(Problem):
        strict_json(body)

    assert 0.5 > time.process_time() - began  # 0.01 to 0.1 s on an idle core; the parser alone took 0.3 to 8.5 s


@pytest.mark.parametrize(
    ("body", "reason"),
    [
        (b"[" + b"[]," * JSON_VALUES + b"1]", f"more than {JSON_VALUES} values"),
        (b"[" * (MAX_DEPTH + 1) + b"]" * (MAX_DEPTH + 1), f"nested more than {MAX_DEPTH} levels deep"),
        (b"7" * (MAX_DIGITS + 1), f"a number has {MAX_DIGITS + 1} digits; at most {MAX_DIGITS} are accepted"),
        (b'{"a": 1, "a": 1}', "the field 'a' is given twice"),
        (b"[NaN]", "NaN is not a JSON number"),
        (b'"\xff"', "byte 1 is not UTF-8"),
    ],
    ids=["values", "depth", "digits", "duplicate", "NaN", "UTF-8"],
)
def test_the_problem_names_the_bound(body: bytes, reason: str) -> None:
    with pytest.raises(Problem, match=f"the body is not valid JSON: {reason}"):
        strict_json(body)


def test_the_largest_legal_products_are_within_the_bounds() -> None:
    product = {"designation": '",[{' * 2500, "description": '<a href="x">,:[{' * 3125, "image": "A/+=" * 10_000}
    batch = [product] * 64

    assert batch == strict_json(json.dumps(batch).encode())
