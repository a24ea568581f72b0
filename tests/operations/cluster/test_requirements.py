"""`make up` looks at the machine first: programs on a PATH of our own, and room given as numbers."""

from pathlib import Path

import pytest

from operations.cluster.commands import Commands
from operations.cluster.machine import DOCKER, KIND, KUBECTL, LEAST, NotEnough, Room, check, room

ALL = (DOCKER, KIND, KUBECTL)
GOOD = {
    "docker": "echo 28.3.1",
    "kind": "echo kind v0.32.0 go1.26.1 linux/amd64",
    "kubectl": """echo '{"clientVersion": {"gitVersion": "v1.33.4", "major": "1"}}'""",
}


@pytest.fixture
def path(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.setenv("PATH", str(tmp_path))
    for name, script in GOOD.items():
        install(tmp_path, name, script)
    return tmp_path


def install(path: Path, name: str, script: str) -> None:
    program = path / name
    program.write_text(f"#!/bin/sh\n{script}\n", encoding="utf-8")
    program.chmod(0o755)


def problem(room: Room = LEAST) -> str:
    with pytest.raises(NotEnough) as refused:
        check(Commands(print), ALL, room)
    return str(refused.value)


def test_a_machine_with_everything_passes(path: Path) -> None:
    check(Commands(print), ALL, LEAST)


@pytest.mark.parametrize(
    ("name", "script", "said"),
    [
        ("docker", None, "docker is needed, 24.0 or newer"),
        ("docker", "echo Cannot connect to the Docker daemon >&2; exit 1", "Cannot connect to the Docker daemon"),
        ("docker", "echo 20.10.24", "docker 20.10 is too old, 24.0 is needed"),
        ("kind", None, "kind is needed, 0.31 or newer (https://kind.sigs.k8s.io"),
        ("kind", "echo kind v0.9.0 go1.15.2", "kind 0.9 is too old, 0.31 is needed"),
        ("kind", "echo hello", "kind does not say its version: 'hello'"),
        ("kubectl", None, "kubectl is needed, 1.32 or newer"),
        ("kubectl", """echo '{"clientVersion": {"gitVersion": "v1.9.7"}}'""", "kubectl 1.9 is too old"),
    ],
)
def test_a_program_that_is_missing_or_too_old_is_named(path: Path, name: str, script: str | None, said: str) -> None:
    if script is None:
        (path / name).unlink()
    else:
        install(path, name, script)

    assert said in problem()


@pytest.mark.parametrize(
    ("room", "said"),
    [
        (Room(2, 16, 100), "2 processors, at least 4 are needed"),
        (Room(8, 3.9, 100), "3.9 GiB of memory, at least 8 are needed"),
        (Room(8, 16, 12), "12 GiB of free disk, at least 30 are needed"),
    ],
)
def test_a_machine_that_is_too_small_is_told_so(path: Path, room: Room, said: str) -> None:
    assert said in problem(room)


def test_a_machine_sold_with_8_gib_shows_a_little_less_and_passes(path: Path) -> None:
    check(Commands(print), ALL, Room(4, 7.6, 30))


def test_everything_that_is_wrong_is_said_at_once(path: Path) -> None:
    (path / "docker").unlink()
    (path / "kind").unlink()

    said = problem(Room(1, 1, 1))

    assert [1, 1, 1, 1, 1] == [said.count(word) for word in ("docker is", "kind is", "processors", "memory", "disk")]


def test_this_machine_can_be_measured() -> None:
    found = room()

    assert found.processors >= 1
    assert found.memory_gib > 0
    assert found.disk_gib > 0
