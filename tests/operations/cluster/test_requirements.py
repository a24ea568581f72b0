"""Tests of the requirements of `make up`, with fake programs on PATH and given capacities."""

from pathlib import Path

import pytest

from operations.cluster.command_runner import CommandRunner
from operations.cluster.requirements import (
    DOCKER,
    KIND,
    KUBECTL,
    MINIMUM,
    Capacity,
    RequirementsNotMet,
    check,
    measure,
)

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


def problem(capacity: Capacity = MINIMUM) -> str:
    with pytest.raises(RequirementsNotMet) as error_info:
        check(CommandRunner(print), ALL, capacity)
    return str(error_info.value)


def test_a_machine_that_meets_the_requirements_passes(path: Path) -> None:
    check(CommandRunner(print), ALL, MINIMUM)


@pytest.mark.parametrize(
    ("name", "script", "message"),
    [
        ("docker", None, "docker is required, 24.0 or newer"),
        ("docker", "echo Cannot connect to the Docker daemon >&2; exit 1", "Cannot connect to the Docker daemon"),
        ("docker", "echo 20.10.24", "docker 20.10 is too old, 24.0 or newer is required"),
        ("kind", None, "kind is required, 0.31 or newer (https://kind.sigs.k8s.io"),
        ("kind", "echo kind v0.9.0 go1.15.2", "kind 0.9 is too old, 0.31 or newer is required"),
        ("kind", "echo hello", "kind prints no version: 'hello'"),
        ("kubectl", None, "kubectl is required, 1.32 or newer"),
        ("kubectl", """echo '{"clientVersion": {"gitVersion": "v1.9.7"}}'""", "kubectl 1.9 is too old"),
    ],
)
def test_a_missing_or_old_program_is_named(path: Path, name: str, script: str | None, message: str) -> None:
    if script is None:
        (path / name).unlink()
    else:
        install(path, name, script)

    assert message in problem()


@pytest.mark.parametrize(
    ("capacity", "message"),
    [
        (Capacity(2, 16, 100), "2 processors, at least 4 are required"),
        (Capacity(8, 3.9, 100), "3.9 GiB of memory, at least 8 are required"),
        (Capacity(8, 16, 12), "12 GiB of free disk, at least 30 are required"),
    ],
)
def test_a_machine_that_is_too_small_is_rejected(path: Path, capacity: Capacity, message: str) -> None:
    assert message in problem(capacity)


def test_a_machine_that_reports_a_little_less_than_8_gib_passes(path: Path) -> None:
    check(CommandRunner(print), ALL, Capacity(4, 7.6, 30))


def test_all_problems_are_reported_at_once(path: Path) -> None:
    (path / "docker").unlink()
    (path / "kind").unlink()

    error = problem(Capacity(1, 1, 1))

    assert [1, 1, 1, 1, 1] == [error.count(word) for word in ("docker is", "kind is", "processors", "memory", "disk")]


def test_this_machine_can_be_measured() -> None:
    found = measure()

    assert found.processors >= 1
    assert found.memory_gib > 0
    assert found.disk_gib > 0
