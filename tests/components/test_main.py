import warnings
from pathlib import Path

import pytest

from components.__main__ import main, steps


def test_every_step_prints_help(capsys: pytest.CaptureFixture[str]) -> None:
    for step in steps():
        with pytest.raises(SystemExit, match="0"):
            main([step, "--help"])
        assert f"python -m components {step}" in capsys.readouterr().out


def test_options_become_arguments_of_the_step(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    status = main(["make_sample", "--folder", str(tmp_path / "raw"), "--products", "30", "--seed", "2"])

    assert (0, f"{tmp_path}/raw: sample of 30 products, seed 2, made now\n") == (status, capsys.readouterr().out)


def test_an_error_is_one_line(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    outputs = [word for name in ("catalogue", "rejects", "report") for word in (f"--{name}", str(tmp_path / name))]

    status = main(["prepare_catalogue", "--raw", str(tmp_path / "nowhere"), *outputs])

    message = f"prepare_catalogue: raw data folder '{tmp_path}/nowhere' does not exist; correct RAW\n"
    assert (1, message) == (status, capsys.readouterr().err)


@pytest.mark.parametrize(
    "words", [[], ["no_such_step"], ["make_sample"], ["make_sample", "--folder", "x", "--seed", "y"]]
)
def test_a_wrong_command_line_prints_the_usage(words: list[str], capsys: pytest.CaptureFixture[str]) -> None:
    with pytest.raises(SystemExit, match="2"):
        main(words)
    assert "usage: python -m components" in capsys.readouterr().err


@pytest.mark.parametrize(("option", "warned"), [("--C", False), ("--penalty", True)])
def test_the_former_name_of_an_option_is_accepted_with_a_warning(
    option: str, warned: bool, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    def run(C: float = 1.0) -> float:  # noqa: N803
        return C

    monkeypatch.setattr("components.train_text.step.run", run)

    with warnings.catch_warnings(record=True) as caught:
        assert 0 == main(["train_text", option, "0.5"])

    assert "0.5\n" == capsys.readouterr().out
    messages = ["python -m components train_text: --penalty is now --C; rename it"] if warned else []
    assert messages == [str(one.message) for one in caught if one.category is DeprecationWarning]
