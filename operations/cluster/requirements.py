"""Check programs and capacity of this machine before a cluster is created."""

import json
import os
import re
import shutil
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path

from operations.cluster.command_runner import CommandFailed, CommandRunner

GIB = 1 << 30
MEMORY_TOLERANCE = 0.9
"""A machine sold with 8 GiB reports a little less."""
Version = tuple[int, int]


class RequirementsNotMet(CommandFailed):
    """Programs are missing or too old, or the machine is too small."""


@dataclass(frozen=True, slots=True)
class Program:
    """A required program, the arguments that print its version, and the minimum version."""

    name: str
    version_arguments: tuple[str, ...]
    minimum: Version
    page: str


DOCKER = Program(
    "docker", ("info", "--format", "{{.ServerVersion}}"), (24, 0), "https://docs.docker.com/engine/install"
)
KIND = Program("kind", ("version",), (0, 31), "https://kind.sigs.k8s.io/docs/user/quick-start")
KUBECTL = Program(
    "kubectl", ("version", "--client", "--output=json"), (1, 32), "https://kubernetes.io/docs/tasks/tools"
)


@dataclass(frozen=True, slots=True)
class Capacity:
    """Processors, memory and free disk."""

    processors: float
    memory_gib: float
    disk_gib: float


MINIMUM = Capacity(processors=4, memory_gib=8, disk_gib=30)
"""Measured for Kubeflow Pipelines, KServe and the product; 8 processors and 16 GiB are comfortable."""
NONE = Capacity(0, 0, 0)


def check(
    runner: CommandRunner, programs: tuple[Program, ...], capacity: Capacity, minimum: Capacity = MINIMUM
) -> None:
    """Raise `RequirementsNotMet` with every problem at once."""
    problems = [*_program_problems(runner, programs), *_capacity_problems(capacity, minimum)]
    if problems:
        raise RequirementsNotMet("\n  ".join(["this machine does not meet the requirements:", *problems]))


def measure(disk: Path = Path("/")) -> Capacity:
    """Measure this machine, within the CPU limit of its container."""
    memory = os.sysconf("SC_PAGE_SIZE") * os.sysconf("SC_PHYS_PAGES")
    return Capacity(len(os.sched_getaffinity(0)), memory / GIB, shutil.disk_usage(disk).free / GIB)


def _program_problems(runner: CommandRunner, programs: tuple[Program, ...]) -> Iterator[str]:
    for program in programs:
        try:
            output = runner.run([program.name, *program.version_arguments])
        except CommandFailed as error:
            reason = str(error).splitlines()[-1][:200]
            yield f"{program.name} is required, {_text(program.minimum)} or newer ({program.page}): {reason}"
            continue
        version = _parse_version(output)
        if version is None:
            yield f"{program.name} prints no version: {output.strip()[:80]!r}"
        elif version < program.minimum:
            yield (
                f"{program.name} {_text(version)} is too old, {_text(program.minimum)} or newer is required"
                f" ({program.page})"
            )


def _capacity_problems(capacity: Capacity, minimum: Capacity) -> Iterator[str]:
    if capacity.processors < minimum.processors:
        yield f"{capacity.processors:.0f} processors, at least {minimum.processors:.0f} are required"
    if capacity.memory_gib < minimum.memory_gib * MEMORY_TOLERANCE:
        yield f"{capacity.memory_gib:.1f} GiB of memory, at least {minimum.memory_gib:.0f} are required"
    if capacity.disk_gib < minimum.disk_gib:
        yield f"{capacity.disk_gib:.0f} GiB of free disk, at least {minimum.disk_gib:.0f} are required"


def _parse_version(output: str) -> Version | None:
    text = output
    if output.lstrip().startswith("{"):
        values: Mapping[str, Mapping[str, str]] = json.loads(output)
        text = values.get("clientVersion", {}).get("gitVersion", "")
    found = re.search(r"(\d+)\.(\d+)", text)
    return (int(found[1]), int(found[2])) if found else None


def _text(version: Version) -> str:
    return f"{version[0]}.{version[1]}"
