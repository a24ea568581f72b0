import os
import re
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest
import yaml

from components.__main__ import steps
from pipelines.compile import compile_training, declared_parameters
from pipelines.parameters import cast_arguments, read_params
from product_classifier.retraining.settings import RetrainSettings

ROOT = Path(__file__).parents[2]
BEFORE_THE_PIPELINE = {"make_sample"}
"""Steps that only prepare local data."""
MONITORING_STEPS = {"compact_log", "measure_drift", "act_on_drift"}
"""Steps of the other pipeline; `test_monitor_command` compares them with its tasks."""


@pytest.fixture(scope="module")
def package(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return compile_training(tmp_path_factory.mktemp("build") / "training.yaml")


@pytest.fixture(scope="module")
def documents(package: Path) -> list[Any]:
    return list(yaml.safe_load_all(package.read_text()))


def test_the_package_names_nothing_of_this_machine(package: Path) -> None:
    text = package.read_text()

    assert not re.search(r"https?://|/home/|/root|/work|/tmp|/Users|127\.0\.0\.1|localhost|sqlite:|\.run/", text)
    assert str(ROOT) not in text
    assert os.uname().nodename not in text


def test_every_step_of_the_components_is_a_task_of_the_same_name(documents: list[Any]) -> None:
    tasks = {name.replace("-", "_") for name in documents[0]["root"]["dag"]["tasks"]}

    assert set(steps()) - BEFORE_THE_PIPELINE - MONITORING_STEPS == tasks


def test_every_task_runs_in_the_trainer_image_and_installs_nothing(documents: list[Any]) -> None:
    containers = [one["container"] for one in documents[0]["deploymentSpec"]["executors"].values()]

    assert {"product-classifier/trainer:dev"} == {container["image"] for container in containers}
    assert "pip install" not in str(containers)


def test_every_task_has_a_time_limit_and_attempts(documents: list[Any]) -> None:
    limits = documents[1]["platforms"]["kubernetes"]["deploymentSpec"]["executors"]
    tasks = documents[0]["root"]["dag"]["tasks"]

    assert len(tasks) == len([one for one in limits.values() if int(one["activeDeadlineSeconds"]) > 0])
    assert {2} == {task["retryPolicy"]["maxRetryCount"] for task in tasks.values()}


def test_an_attempt_that_took_all_its_time_is_the_last_and_a_run_ends_within_six_hours(documents: list[Any]) -> None:
    platform = documents[1]["platforms"]["kubernetes"]
    limits = platform["deploymentSpec"]["executors"]
    tasks = documents[0]["root"]["dag"]["tasks"]

    for name, task in tasks.items():
        limit = limits[f"exec-{name}"]["activeDeadlineSeconds"]
        assert (name, f"{limit}s") == (name, task["retryPolicy"]["backoffMaxDuration"])
    assert 6 * 3600 == platform["pipelineConfig"]["activeDeadlineSeconds"] == RetrainSettings().run_timeout_s


EFFECTS = {"start-run", "register", "compare", "promote"}
"""Tasks that own the run, read the champion, or write outside their outputs."""


def test_only_tasks_without_side_effects_are_cached(documents: list[Any]) -> None:
    tasks = documents[0]["root"]["dag"]["tasks"]

    cached = {name for name, task in tasks.items() if task["cachingOptions"].get("enableCache")}
    assert tasks.keys() - EFFECTS == cached


def test_inputs_of_cached_tasks_are_equal_for_equal_runs(documents: list[Any]) -> None:
    """The identity of an artifact is the execution that made it; that of a value is its content."""
    tasks = documents[0]["root"]["dag"]["tasks"]
    found: dict[str, set[str]] = {"artifacts": set(), "values": set(), "parameters": set(), "constants": set()}
    for name in tasks.keys() - EFFECTS:
        inputs = tasks[name]["inputs"]
        found["artifacts"] |= {one["taskOutputArtifact"]["producerTask"] for one in _each(inputs, "artifacts")}
        for one in _each(inputs, "parameters"):
            if "taskOutputParameter" in one:
                found["values"].add(one["taskOutputParameter"]["outputParameterKey"])
            elif "componentInputParameter" in one:
                found["parameters"].add(one["componentInputParameter"])
            else:
                found["constants"].add(str(one))

    assert set() == found["artifacts"] & EFFECTS
    assert {"raw_revision", "cache_key", "photo_revision"} == found["values"]
    assert set() == found["parameters"] & {"run_id", "cache_buster", "git_commit", "service", "rollout"}
    assert set() == found["constants"]


def _each(inputs: dict[str, Any], kind: str) -> list[dict[str, Any]]:
    return list(inputs.get(kind, {}).values())


def test_every_task_gets_the_id_of_its_execution(documents: list[Any]) -> None:
    executors = documents[1]["platforms"]["kubernetes"]["deploymentSpec"]["executors"]

    found = [one["fieldPathAsEnv"] for one in executors.values()]
    assert [[{"name": "EXECUTION_ID", "fieldPath": "metadata.labels['pipeline/runid']"}]] * len(found) == found


def test_the_image_can_be_named_by_the_environment(tmp_path: Path) -> None:
    command = [sys.executable, "-m", "pipelines", "compile", "--output", str(tmp_path / "training.yaml")]
    subprocess.run(command, check=True, cwd=ROOT, env=os.environ | {"TRAINER_IMAGE": "registry.example/trainer:abc"})

    assert "image: registry.example/trainer:abc" in (tmp_path / "training.yaml").read_text()


def test_every_number_of_params_yaml_is_a_parameter_of_its_type(package: Path) -> None:
    params = read_params(ROOT / "params.yaml")

    assert params.keys() <= cast_arguments(params, declared_parameters(package)).keys()
    assert params


def test_defaults_of_the_pipeline_are_those_of_params_yaml(documents: list[Any]) -> None:
    inputs = documents[0]["root"]["inputDefinitions"]["parameters"]

    for name, value in read_params(ROOT / "params.yaml").items():
        assert (name, value) == (name, inputs[name]["defaultValue"])
