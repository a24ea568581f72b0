"""`make compose` prepares secrets and images, and starts the services with one command."""

from pathlib import Path

import pytest

from operations.cluster.command_runner import CommandFailed
from operations.cluster.images import IMAGES
from operations.compose.__main__ import start
from operations.compose.settings import Settings
from tests.support.fake_cluster import FakeCluster
from tests.support.servers import free_port


def started(tmp_path: Path, **changes: str) -> FakeCluster:
    """Start the services with a fake docker; no gateway responds."""
    runner = FakeCluster()
    settings = Settings(state=tmp_path / "state", port=free_port(), timeout_s=0.001, **changes)  # type: ignore[arg-type]
    with pytest.raises(CommandFailed, match="no release is served"):
        start(runner, settings)
    return runner


def test_images_are_built_and_services_started(tmp_path: Path) -> None:
    commands = started(tmp_path, tag="one").commands

    assert len(IMAGES) == sum(command[:2] == ["docker", "build"] for command in commands)
    up = ["docker", "compose", "--file", "docker/compose.yaml", "--env-file", str(tmp_path / "state" / "environment")]
    assert [*up, "up", "--detach", "--remove-orphans"] == commands[-1]
    assert "TAG=one\n" in (tmp_path / "state" / "environment").read_text()


def test_images_of_a_registry_are_not_built(tmp_path: Path) -> None:
    commands = started(tmp_path, registry="registry.example.com/").commands

    assert not [command for command in commands if "build" in command]
    assert "REGISTRY=registry.example.com/\n" in (tmp_path / "state" / "environment").read_text()


def test_a_missing_docker_is_reported_before_anything_is_written(tmp_path: Path) -> None:
    class WithoutDocker(FakeCluster):
        def run(self, command: object, *, stdin: str | None = None) -> str:
            raise CommandFailed("'docker' cannot be started: No such file or directory")

    with pytest.raises(CommandFailed, match="docker"):
        start(WithoutDocker(), Settings(state=tmp_path / "state"))

    assert not (tmp_path / "state").exists()
