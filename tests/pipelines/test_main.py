import subprocess
import sys
from dataclasses import replace
from pathlib import Path

import pytest

from components.shared import encoder_names
from components.shared.package_files import PackageFile
from pipelines.__main__ import COMMANDS, main
from product_classifier.settings_help import variables

ROOT = Path(__file__).parents[2]


@pytest.mark.parametrize("name", COMMANDS)
def test_the_help_of_a_command_has_its_description_and_the_variables_it_reads(
    name: str, capsys: pytest.CaptureFixture[str]
) -> None:
    command, settings = COMMANDS[name]

    with pytest.raises(SystemExit):
        main([name, "--help"])

    text = " ".join(capsys.readouterr().out.split())
    assert " ".join((command.__doc__ or "missing").split()) in text
    assert all(variable.names[0] in text for one in settings for variable in variables(one))


def test_the_help_needs_neither_kfp_nor_the_training_packages() -> None:
    code = (
        "import sys; from pipelines.__main__ import COMMANDS, make_parser; make_parser('', COMMANDS).format_help()\n"
        "print(*sorted({'kfp', 'torch', 'mlflow', 'sklearn'} & set(sys.modules)))"
    )
    found = subprocess.run([sys.executable, "-c", code], cwd=ROOT, capture_output=True, text=True, check=True)

    assert "" == found.stdout.strip()


def test_a_training_with_an_encoder_whose_package_is_missing_does_not_start(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    missing = replace(
        encoder_names.E5_SMALL, files=(PackageFile("no_such_package", "x", "0" * 64, "run `make encoders`"),)
    )
    monkeypatch.setitem(encoder_names.ENCODERS, "e5-small", missing)  # type: ignore[arg-type]
    monkeypatch.chdir(tmp_path)

    assert 1 == main(["train", "--set", "text_encoder=e5-small"])

    reason = "train_text.encoder: 'e5-small' needs the package of e5-small; run `make encoders`"
    assert reason in " ".join(capsys.readouterr().err.split())
    assert [] == list(tmp_path.iterdir())
