"""Tests that every line of the combined output is complete and names its service."""

import io
import json

import pytest

from operations.local.output import MAX_LINE_BYTES, OutputMultiplexer
from product_classifier.observability import configure_logging, get_logger


def test_lines_of_two_services_are_not_interleaved() -> None:
    written = io.StringIO()
    output = OutputMultiplexer(as_json=False, to=written)
    output.write("a", b"first half, ")
    output.write("b", b"of b\n")
    output.write("a", b"second half\nnext")
    output.end("a")

    assert ["b of b", "a first half, second half", "a next"] == [
        line.partition("output  ")[2] for line in written.getvalue().splitlines()
    ]


@pytest.mark.parametrize("as_json", [False, True])
def test_a_line_of_structured_logging_is_not_changed(*, as_json: bool) -> None:
    logged, written = io.StringIO(), io.StringIO()
    configure_logging("text-predictor", json=as_json, to=logged)
    get_logger().info("served", status=200)
    OutputMultiplexer(as_json=as_json, to=written).write("text-predictor", logged.getvalue().encode())

    assert logged.getvalue() == written.getvalue()


def test_with_json_every_line_is_json() -> None:
    written = io.StringIO()
    OutputMultiplexer(as_json=True, to=written).write("a", b'Traceback: "x" \xff\n\n')
    fields = json.loads(written.getvalue())

    assert ("a", 'Traceback: "x" \ufffd') == (fields["service"], fields["line"])


def test_a_line_above_the_maximum_is_split() -> None:
    written = io.StringIO()
    OutputMultiplexer(as_json=False, to=written).write("a", b"x" * (MAX_LINE_BYTES + 1))

    assert 1 == written.getvalue().count("\n")


def test_lines_are_buffered_in_order_while_paused() -> None:
    written, paused = io.StringIO(), [True]
    output = OutputMultiplexer(as_json=False, to=written, is_paused=lambda: bool(paused))
    output.write("a", b"first\n")
    before = written.getvalue()
    paused.clear()
    output.write("b", b"second\n")

    assert ("", ["first", "second"]) == (before, [line.split()[-1] for line in written.getvalue().splitlines()])
