"""Tests of running programs: no output on success, the end of the output on failure."""

import sys

import pytest

from operations.cluster.command_runner import QUOTED_LINES, CommandFailed, CommandRunner


def test_run_returns_standard_output() -> None:
    assert "hello\n" == CommandRunner(print).run([sys.executable, "-c", "print('hello')"])


def test_stdin_is_passed_to_the_program() -> None:
    assert "ab" == CommandRunner(print).run([sys.executable, "-c", "print(input(), end='')"], stdin="ab")


def test_a_failure_contains_the_status_and_the_last_lines() -> None:
    script = "import sys; print(*range(100), sep='\\n'); sys.exit('no space left')"

    with pytest.raises(CommandFailed, match=r"ended with 1:\n71\n(?s:.*)99\nno space left$") as failed:
        CommandRunner(print).run([sys.executable, "-c", script])
    assert QUOTED_LINES + 1 == len(str(failed.value).splitlines())


def test_a_missing_program_is_named() -> None:
    with pytest.raises(CommandFailed, match="'no-such-program' cannot be started: No such file"):
        CommandRunner(print).run(["no-such-program"])


def test_a_step_is_reported_in_one_line() -> None:
    reported: list[str] = []
    CommandRunner(reported.append).run_step("nothing done", [sys.executable, "-c", "print('noise')"])

    assert ["nothing done  0 s"] == reported


def test_a_long_line_is_shortened_in_the_middle() -> None:
    with pytest.raises(CommandFailed, match=r"\nthe Job is invalid: x+ … x+ field is immutable$") as failed:
        CommandRunner(print).run(
            [sys.executable, "-c", "import sys; sys.exit('the Job is invalid: ' + 'x' * 9999 + ' field is immutable')"]
        )
    assert len(str(failed.value)) < 1000
