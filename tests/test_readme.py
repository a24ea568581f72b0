"""The README promises nothing that is not there; its prediction is made in test_make_run.py."""

import re
import subprocess
from pathlib import Path

import pytest

REPOSITORY = Path(__file__).parents[1]
README = (REPOSITORY / "README.md").read_text(encoding="utf-8")
BLOCKS = re.findall(r"```(\w*)\n(.*?)```", README, re.DOTALL)
SHELL = [block for language, block in BLOCKS if language == "sh"]


def test_every_command_of_the_table_is_a_target_and_every_target_is_in_the_table() -> None:
    offered = subprocess.run(["make", "-s", "help"], cwd=REPOSITORY, capture_output=True, text=True, check=True).stdout
    targets = set(re.findall(r"^make ([a-z0-9]+)", offered, re.MULTILINE)) - {"help"}

    assert targets == set(re.findall(r"^\| `make (\w+)`", README, re.MULTILINE))


@pytest.mark.parametrize("command", sorted(set(re.findall(r"\bmake (\w+)[^`\n]*", "\n".join(SHELL)))))
def test_every_make_command_in_a_block_can_be_planned(command: str) -> None:
    subprocess.run(["make", "-n", command, "INSTALLED="], cwd=REPOSITORY, capture_output=True, check=True)


def test_every_file_and_link_it_names_exists() -> None:
    links = re.findall(r"\]\(([^)#:]+)\)", README)
    tree = next(block for language, block in BLOCKS if not language)
    named = [line.split("  ")[0].strip() for line in tree.splitlines()]

    missing = [path for path in links + named if not (REPOSITORY / path).exists()]
    assert [] == [path for path in missing if not path.startswith((".run", "data"))]


def test_every_box_of_the_diagram_is_a_folder() -> None:
    [diagram] = [block for language, block in BLOCKS if language == "mermaid"]
    boxes = set(re.findall(r"\b[a-z]+(?:_[a-z]+)+\b|\bevaluate\b|\bregister\b|\bpromote\b", diagram))
    folders = {path.name for part in ("components", "inference") for path in (REPOSITORY / part).iterdir()}

    assert boxes
    assert set() == boxes - folders


def test_every_module_it_names_has_help() -> None:
    for module in re.findall(r"`python -m ([\w.]+)`", README):
        assert (REPOSITORY / module.replace(".", "/") / "__main__.py").exists(), module


def test_it_and_the_other_pages_mention_nothing_of_one_machine() -> None:
    for page in [*REPOSITORY.glob("*.md"), *(REPOSITORY / "docs").rglob("*.md")]:
        assert not re.search(r"/home/|/root/|/work/|/Users/", page.read_text(encoding="utf-8")), page
