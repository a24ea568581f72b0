import subprocess
import sys
from pathlib import Path

import pytest

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
        "import sys; from pipelines.__main__ import _parser; _parser().format_help()\n"
        "print(*sorted({'kfp', 'torch', 'mlflow', 'sklearn'} & set(sys.modules)))"
    )
    found = subprocess.run([sys.executable, "-c", code], cwd=ROOT, capture_output=True, text=True, check=True)

    assert "" == found.stdout.strip()
