import os
import re
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest
import yaml

from components.__main__ import steps
from pipelines.compile import compile_training, declared
from pipelines.parameters import fit, read_params

ROOT = Path(__file__).parents[2]
BEFORE_THE_PIPELINE = {"make_sample"}
"""Steps that only prepare data on a laptop."""


@pytest.fixture(scope="module")
def package(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return compile_training(tmp_path_factory.mktemp("build") / "training.yaml")


@pytest.fixture(scope="module")
def documents(package: Path) -> list[Any]:
    return list(yaml.safe_load_all(package.read_text()))


def test_the_file_names_nothing_of_this_machine(package: Path) -> None:
    text = package.read_text()

    assert not re.search(r"https?://|/home/|/root|/work|/tmp|/Users|127\.0\.0\.1|localhost|sqlite:|\.run/", text)
    assert str(ROOT) not in text
    assert os.uname().nodename not in text


def test_every_step_of_the_components_is_a_task_of_the_same_name(documents: list[Any]) -> None:
    tasks = {name.replace("-", "_") for name in documents[0]["root"]["dag"]["tasks"]}

    assert set(steps()) - BEFORE_THE_PIPELINE == tasks


def test_every_task_runs_in_our_image_and_installs_nothing(documents: list[Any]) -> None:
    containers = [one["container"] for one in documents[0]["deploymentSpec"]["executors"].values()]

    assert {"product-classifier/trainer:dev"} == {container["image"] for container in containers}
    assert "pip install" not in str(containers)


def test_every_task_has_a_time_limit_and_attempts(documents: list[Any]) -> None:
    limits = documents[1]["platforms"]["kubernetes"]["deploymentSpec"]["executors"]
    tasks = documents[0]["root"]["dag"]["tasks"]

    assert len(tasks) == len([one for one in limits.values() if int(one["activeDeadlineSeconds"]) > 0])
    assert {2} == {task["retryPolicy"]["maxRetryCount"] for task in tasks.values()}


def test_no_task_is_answered_from_a_cache(documents: list[Any]) -> None:
    tasks = documents[0]["root"]["dag"]["tasks"]

    assert {name: {} for name in tasks} == {name: task["cachingOptions"] for name, task in tasks.items()}


def test_the_image_can_be_named_by_the_environment(tmp_path: Path) -> None:
    command = [sys.executable, "-m", "pipelines", "compile", "--output", str(tmp_path / "training.yaml")]
    subprocess.run(command, check=True, cwd=ROOT, env=os.environ | {"TRAINER_IMAGE": "registry.example/trainer:abc"})

    assert "image: registry.example/trainer:abc" in (tmp_path / "training.yaml").read_text()


def test_every_number_of_params_yaml_is_a_parameter_of_its_type(package: Path) -> None:
    params = read_params(ROOT / "params.yaml")

    assert params.keys() <= fit(params, declared(package)).keys()
    assert params


def test_defaults_of_the_pipeline_are_those_of_params_yaml(documents: list[Any]) -> None:
    inputs = documents[0]["root"]["inputDefinitions"]["parameters"]

    for name, value in read_params(ROOT / "params.yaml").items():
        assert (name, value) == (name, inputs[name]["defaultValue"])
