"""Which images are built, with which words."""

import tomllib
from pathlib import Path

import pytest

from operations.cluster.images import IMAGES, Image, build, load
from tests.support.fake_commands import FakeCluster

REPOSITORY = Path(__file__).parents[3]


def test_every_image_is_built_with_the_builder_that_was_asked_for() -> None:
    commands = FakeCluster()
    build(commands, builder="podman build --quiet", tag="1a2b", commit="1a2b3c", torch_index="")

    text, *_, trainer = commands.ran
    assert len(IMAGES) == len(commands.ran)
    assert ["podman", "build", "--quiet", "-f", "inference/Dockerfile"] == text[:5]
    assert ["-t", "product-classifier/text-predictor:1a2b", "."] == text[-3:]
    assert {"SERVICE=text_predictor", "EXTRA=text", "GIT_COMMIT=1a2b3c"} <= set(text)
    assert ["-t", "product-classifier/trainer:1a2b", "."] == trainer[-3:]


def test_only_the_trainer_hears_of_another_index_for_torch() -> None:
    commands = FakeCluster()
    build(commands, builder="docker build", tag="dev", commit="", torch_index="https://download.pytorch.org/whl/cpu")

    told = [command[-2] for command in commands.ran if any(word.startswith("TORCH_INDEX=") for word in command)]
    assert ["product-classifier/trainer:dev"] == told


def test_every_image_is_loaded() -> None:
    commands = FakeCluster()
    load(commands, loader="kind load docker-image --name mine", tag="dev")

    expected = [["kind", "load", "docker-image", "--name", "mine", image.reference("dev")] for image in IMAGES]
    assert expected == commands.ran


@pytest.mark.parametrize("image", IMAGES, ids=lambda image: image.name)
def test_what_an_image_is_made_of_is_there(image: Image) -> None:
    extras = tomllib.loads((REPOSITORY / "pyproject.toml").read_text(encoding="utf-8"))["project"]
    told = dict(image.arguments)

    assert (REPOSITORY / image.recipe).is_file()
    assert told.get("EXTRA", "train") in extras["optional-dependencies"]
    if image.name not in {"mlflow", "trainer"}:
        assert (REPOSITORY / "inference" / told["SERVICE"] / "__main__.py").is_file()
