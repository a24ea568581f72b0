"""The list names every image, package and manifest that an installation downloads."""

import json
from pathlib import Path

import pytest
import yaml

from operations.cluster.command_runner import CommandFailed, CommandRunner
from operations.cluster.image_names import copy_name, qualified
from operations.cluster.images import PREFIX
from operations.offline import inventory
from operations.offline.__main__ import copy_images, with_registry, write_inventory
from operations.offline.settings import Settings
from tests.support.fake_cluster import FakeCluster
from tests.support.rendering import OVERLAYS, containers, overlay, pods

REGISTRY = "registry.internal:5000/mirror/"


@pytest.mark.parametrize(
    ("image", "complete"),
    [
        ("python:3.11-slim", "docker.io/library/python:3.11-slim"),
        ("kserve/storage-initializer:v0.20.0", "docker.io/kserve/storage-initializer:v0.20.0"),
        ("quay.io/minio/minio@sha256:00", "quay.io/minio/minio@sha256:00"),
        ("localhost:5000/a:1", "localhost:5000/a:1"),
    ],
)
def test_names_of_images_are_completed_as_docker_does(image: str, complete: str) -> None:
    assert complete == qualified(image)


@pytest.mark.parametrize(
    ("image", "copy"),
    [
        ("python:3.11-slim", "r/docker.io/library/python:3.11-slim"),
        ("localhost:5000/a:1", "r/localhost-5000/a:1"),
        ("quay.io/minio/minio@sha256:" + "0123456789abcdef" * 4, "r/quay.io/minio/minio:sha256-0123456789ab"),
    ],
)
def test_names_of_copies_are_valid(image: str, copy: str) -> None:
    assert copy == copy_name("r/", image)


def test_every_image_of_overlays_compose_and_dockerfiles_is_listed() -> None:
    for name in OVERLAYS:
        overlay(name)  # skips without a renderer
    listed = inventory.images(CommandRunner(lambda _: None))
    named = {container["image"] for name in OVERLAYS for _, pod in pods(overlay(name)) for container in containers(pod)}
    compose = yaml.safe_load(inventory.COMPOSE_FILE.read_text())["services"].values()
    named |= {one["image"] for one in compose}

    assert {qualified(one) for one in named if f"{PREFIX}/" not in one} <= set(listed)
    assert "docker.io/library/python:3.11-slim" in listed
    assert not [one for one in listed if PREFIX in one]


@pytest.mark.parametrize("lock", inventory.LOCKS, ids=str)
def test_every_package_of_a_lock_is_listed_with_its_digests(lock: Path) -> None:
    found = list(inventory.packages(lock))
    text = lock.read_text(encoding="utf-8")

    assert text.count("==") == len(found)
    assert text.count("--hash=sha256:") == sum(len(one.digests) for one in found)
    assert all(one.digests for one in found)


def test_a_platform_that_cannot_be_downloaded_is_reported(tmp_path: Path) -> None:
    class WithoutNetwork(FakeCluster):
        def run(self, command: object, *, stdin: str | None = None) -> str:
            raise CommandFailed("kubectl ended with 1:\nno such host")

    runner = WithoutNetwork()
    parts = inventory.platform(runner)
    write_inventory(runner, tmp_path, ["docker.io/library/python:3.11-slim"], {}, parts)

    assert "platform/kserve is not rendered, its images are not listed: no such host" in runner.reported
    content = json.loads((tmp_path / "inventory.json").read_text())
    assert {"platform/cert-manager", "platform/kserve"} <= {one["name"] for one in content["platform"]}


def test_images_are_copied_under_their_complete_name_and_their_digests_are_kept() -> None:
    runner = FakeCluster()
    runner.outputs["crane digest"] = "sha256:1234\n"
    images = ["docker.io/library/python:3.11-slim", "quay.io/minio/minio:1"]

    assert dict.fromkeys(images, "sha256:1234") == copy_images(runner, Settings(registry=REGISTRY), images)
    assert ["crane", "copy", images[1], f"{REGISTRY}quay.io/minio/minio:1"] in runner.commands


def test_manifests_of_the_platform_name_the_copies() -> None:
    text = "image: python:3.11-slim\nimage: quay.io/a/b:1\n"
    images = ["docker.io/library/python:3.11-slim", "quay.io/a/b:1"]

    assert f"image: {REGISTRY}{images[0]}\nimage: {REGISTRY}{images[1]}\n" == with_registry(text, REGISTRY, images)
