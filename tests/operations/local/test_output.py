"""Every line on the screen says whose it is."""

import io
import json

import pytest

from operations.local.output import LONGEST_LINE, Screen
from product_classifier.observability import configure_logging, get_logger


def test_lines_of_two_services_are_not_mixed_whatever_arrives_when() -> None:
    shown = io.StringIO()
    screen = Screen(as_json=False, to=shown)
    screen.write("a", b"first half, ")
    screen.write("b", b"of b\n")
    screen.write("a", b"second half\nnext")
    screen.end("a")

    assert ["b of b", "a first half, second half", "a next"] == [
        line.partition("output  ")[2] for line in shown.getvalue().splitlines()
    ]


@pytest.mark.parametrize("as_json", [False, True])
def test_a_line_of_our_own_logging_is_shown_as_it_is(*, as_json: bool) -> None:
    logged, shown = io.StringIO(), io.StringIO()
    configure_logging("text-predictor", json=as_json, to=logged)
    get_logger().info("served", status=200)
    Screen(as_json=as_json, to=shown).write("text-predictor", logged.getvalue().encode())

    assert logged.getvalue() == shown.getvalue()


def test_in_json_every_line_is_json() -> None:
    shown = io.StringIO()
    Screen(as_json=True, to=shown).write("a", b'Traceback: "x" \xff\n\n')
    said = json.loads(shown.getvalue())

    assert ("a", 'Traceback: "x" \ufffd') == (said["service"], said["line"])


def test_a_line_without_end_is_cut() -> None:
    shown = io.StringIO()
    Screen(as_json=False, to=shown).write("a", b"x" * (LONGEST_LINE + 1))

    assert 1 == shown.getvalue().count("\n")


def test_while_somebody_draws_on_it_lines_wait_in_their_order() -> None:
    shown, drawing = io.StringIO(), [True]
    screen = Screen(as_json=False, to=shown, taken=lambda: bool(drawing))
    screen.write("a", b"first\n")
    before = shown.getvalue()
    drawing.clear()
    screen.write("b", b"second\n")

    assert ("", ["first", "second"]) == (before, [line.split()[-1] for line in shown.getvalue().splitlines()])
