"""The README is true: its commands, paths, diagram and JSON; test_make_run.py executes its prediction."""

import json
import re
import subprocess
import uuid
from pathlib import Path

import pytest

from inference.auth_proxy.schemas import PredictionView
from product_classifier.catalogue.challenge import CHALLENGE

REPOSITORY = Path(__file__).parents[1]
README = (REPOSITORY / "README.md").read_text(encoding="utf-8")
BLOCKS = re.findall(r"```(\w*)\n(.*?)```", README, re.DOTALL)
SHELL = [block for language, block in BLOCKS if language == "sh"]
MAX_IMAGE_BYTES = 150_000


def test_the_table_of_commands_lists_exactly_the_make_targets() -> None:
    listed = subprocess.run(["make", "-s", "help"], cwd=REPOSITORY, capture_output=True, text=True, check=True).stdout
    targets = set(re.findall(r"^make ([a-z0-9]+)", listed, re.MULTILINE)) - {"help"}

    assert targets == set(re.findall(r"^\| `make (\w+)`", README, re.MULTILINE))


@pytest.mark.parametrize("command", sorted(set(re.findall(r"\bmake (\w+)[^`\n]*", "\n".join(SHELL)))))
def test_make_can_plan_every_command_of_a_block(command: str) -> None:
    subprocess.run(["make", "-n", command, "INSTALLED="], cwd=REPOSITORY, capture_output=True, check=True)


def test_every_folder_of_the_tree_exists() -> None:
    tree = next(block for language, block in BLOCKS if not language)
    named = [line.split("  ")[0].strip() for line in tree.splitlines()]

    assert named
    assert [] == [path for path in named if path != ".run/" and not (REPOSITORY / path).is_dir()]


def test_the_diagram_names_every_step_and_service_by_its_folder() -> None:
    [diagram] = [block for language, block in BLOCKS if language == "mermaid"]
    names = set(re.findall(r"(?<![\w/])[a-z]+(?:_[a-z]+)*(?![\w/])", re.sub(r"\|[^|]*\|", "", diagram)))
    steps = {path.parent.name for path in (REPOSITORY / "components").glob("*/step.py")} - {"make_sample"}
    services = {path.parent.name for path in (REPOSITORY / "inference").glob("*/__main__.py")}

    assert set() == (steps | services - {"collocated", "simulation"}) - names


def test_the_steps_of_the_diagram_follow_each_other_as_in_the_pipeline() -> None:
    [diagram] = [block for language, block in BLOCKS if language == "mermaid"]
    inside = diagram[diagram.index("subgraph components") : diagram.index("end\n")]
    pipeline = (REPOSITORY / "pipelines" / "training.py").read_text(encoding="utf-8")
    called = re.findall(r"^    \w+ = (\w+)\($", pipeline, re.MULTILINE)
    called += re.findall(r"^    \w+ = (\w+)\(.+\)$", pipeline, re.MULTILINE)
    order = list(dict.fromkeys(re.findall(r"[a-z]+(?:_[a-z]+)*", inside.split("\n", 1)[1])))

    assert set(order) == {name for name in called if (REPOSITORY / "components" / name).is_dir()}
    assert order == sorted(order, key=lambda name: pipeline.index(f" = {name}("))


def test_the_answer_it_prints_is_one_of_the_api() -> None:
    [answer] = [json.loads(block) for language, block in BLOCKS if language == "json"]
    shown = [answer["category"], *answer["top"], *answer["modalities"].values()]

    assert {name for name, field in PredictionView.model_fields.items() if field.is_required()} == set(answer)
    PredictionView.model_validate(answer)
    assert 7 == uuid.UUID(answer["prediction_id"]).version
    assert 5 == len(answer["top"])
    assert [] == [one for one in shown if CHALLENGE.label(str(one["code"])) != one["label"]]


@pytest.mark.parametrize("name", re.findall(r"!\[[^\]]+\]\(([^)]+)\)", README))
def test_a_picture_is_a_small_png(name: str) -> None:
    picture = (REPOSITORY / name).read_bytes()

    assert picture.startswith(b"\x89PNG")
    assert len(picture) <= MAX_IMAGE_BYTES


def test_every_module_it_names_has_help() -> None:
    for module in re.findall(r"`python -m ([\w.]+)`", README):
        assert (REPOSITORY / module.replace(".", "/") / "__main__.py").exists(), module


def test_no_page_names_a_place_of_one_machine() -> None:
    for page in [*REPOSITORY.glob("*.md"), *(REPOSITORY / "docs").rglob("*.md")]:
        assert not re.search(r"/home/|/root/|/work/|/Users/", page.read_text(encoding="utf-8")), page
