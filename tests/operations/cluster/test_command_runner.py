"""Programs are run for a person: quiet when they succeed, their last words when they fail."""

import sys

import pytest

from operations.cluster.commands import TAIL, CommandFailed, Commands


def test_what_a_program_prints_is_returned() -> None:
    assert "hello\n" == Commands(print).run([sys.executable, "-c", "print('hello')"])


def test_what_is_given_is_its_input() -> None:
    assert "ab" == Commands(print).run([sys.executable, "-c", "print(input(), end='')"], given="ab")


def test_a_failure_shows_the_last_lines_and_the_status() -> None:
    script = "import sys; print(*range(100), sep='\\n'); sys.exit('no space left')"

    with pytest.raises(CommandFailed, match=r"ended with 1:\n71\n(?s:.*)99\nno space left$") as failed:
        Commands(print).run([sys.executable, "-c", script])
    assert TAIL + 1 == len(str(failed.value).splitlines())


def test_a_program_that_is_not_there_is_named() -> None:
    with pytest.raises(CommandFailed, match="'no-such-program' cannot be started: No such file"):
        Commands(print).run(["no-such-program"])


def test_a_step_is_one_line_when_it_ends() -> None:
    said: list[str] = []
    Commands(said.append).step("nothing done", [sys.executable, "-c", "print('noise')"])

    assert ["nothing done  0 s"] == said


def test_of_a_very_long_line_both_ends_are_shown() -> None:
    with pytest.raises(CommandFailed, match=r"\nthe Job is invalid: x+ … x+ field is immutable$") as failed:
        Commands(print).run(
            [sys.executable, "-c", "import sys; sys.exit('the Job is invalid: ' + 'x' * 9999 + ' field is immutable')"]
        )
    assert len(str(failed.value)) < 1000
