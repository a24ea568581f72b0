"""Tests of the commands that build and load images."""

import tomllib
from pathlib import Path

import pytest

from operations.cluster.images import IMAGES, Image, build, load
from tests.support.fake_cluster import FakeCluster

REPOSITORY = Path(__file__).parents[3]


def test_every_image_is_built_with_the_given_builder() -> None:
    cluster = FakeCluster()
    build(cluster, builder="podman build --quiet", tag="1a2b", commit="1a2b3c", torch_index="")

    text, *_, trainer = cluster.commands
    assert len(IMAGES) == len(cluster.commands)
    assert ["podman", "build", "--quiet", "-f", "inference/Dockerfile"] == text[:5]
    assert ["-t", "product-classifier/text-predictor:1a2b", "."] == text[-3:]
    assert {"SERVICE=text_predictor", "EXTRA=text", "GIT_COMMIT=1a2b3c"} <= set(text)
    assert ["-t", "product-classifier/trainer:1a2b", "."] == trainer[-3:]


def test_only_the_trainer_gets_the_index_of_torch() -> None:
    cluster = FakeCluster()
    build(cluster, builder="docker build", tag="dev", commit="", torch_index="https://download.pytorch.org/whl/cpu")

    images = [
        command[-2] for command in cluster.commands if any(argument.startswith("TORCH_INDEX=") for argument in command)
    ]
    assert ["product-classifier/trainer:dev"] == images


def test_every_image_is_loaded() -> None:
    cluster = FakeCluster()
    load(cluster, loader="kind load docker-image --name mine", tag="dev")

    expected = [["kind", "load", "docker-image", "--name", "mine", image.reference("dev")] for image in IMAGES]
    assert expected == cluster.commands


@pytest.mark.parametrize("image", IMAGES, ids=lambda image: image.name)
def test_dockerfile_extra_and_module_of_an_image_exist(image: Image) -> None:
    extras = tomllib.loads((REPOSITORY / "pyproject.toml").read_text(encoding="utf-8"))["project"]
    arguments = dict(image.arguments)

    assert (REPOSITORY / image.dockerfile).is_file()
    assert arguments.get("EXTRA", "train") in extras["optional-dependencies"]
    if image.name not in {"mlflow", "trainer"}:
        assert (REPOSITORY / "inference" / arguments["SERVICE"] / "__main__.py").is_file()
