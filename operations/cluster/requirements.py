"""Whether this machine can hold the cluster: asked before anything is started, answered in one message."""

import json
import os
import re
import shutil
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path

from operations.cluster.commands import CommandFailed, Commands

GIB = 1 << 30
Version = tuple[int, int]


class NotEnough(CommandFailed):
    """The machine lacks programs or room."""


@dataclass(frozen=True, slots=True)
class Program:
    """A program that is needed, how it says its version, and the first one that will do."""

    name: str
    asks: tuple[str, ...]
    least: Version
    get: str


DOCKER = Program(
    "docker", ("info", "--format", "{{.ServerVersion}}"), (24, 0), "https://docs.docker.com/engine/install"
)
KIND = Program("kind", ("version",), (0, 31), "https://kind.sigs.k8s.io/docs/user/quick-start")
KUBECTL = Program(
    "kubectl", ("version", "--client", "--output=json"), (1, 32), "https://kubernetes.io/docs/tasks/tools"
)


@dataclass(frozen=True, slots=True)
class Room:
    """Processors, memory and free disk, in the units people use."""

    processors: float
    memory_gib: float
    disk_gib: float


LEAST = Room(processors=4, memory_gib=8, disk_gib=30)
"""What Kubeflow Pipelines, KServe and the product take, measured; 8 processors and 16 GiB are comfortable."""


def check(commands: Commands, programs: tuple[Program, ...], room: Room, least: Room = LEAST) -> None:
    """Raise `NotEnough` with everything that is missing, so that a person mends it once."""
    problems = [*_lacking(commands, programs), *_small(room, least)]
    if problems:
        raise NotEnough("\n  ".join(["this machine cannot hold the cluster:", *problems]))


def room(disk: Path = Path("/")) -> Room:
    """Measure this machine, and the limits of the container we may be in."""
    memory = os.sysconf("SC_PAGE_SIZE") * os.sysconf("SC_PHYS_PAGES")
    return Room(len(os.sched_getaffinity(0)), memory / GIB, shutil.disk_usage(disk).free / GIB)


def _lacking(commands: Commands, programs: tuple[Program, ...]) -> Iterator[str]:
    for program in programs:
        try:
            said = commands.run([program.name, *program.asks])
        except CommandFailed as error:
            reason = str(error).splitlines()[-1][:200]
            yield f"{program.name} is needed, {_shown(program.least)} or newer ({program.get}): {reason}"
            continue
        version = _version(said)
        if version is None:
            yield f"{program.name} does not say its version: {said.strip()[:80]!r}"
        elif version < program.least:
            yield f"{program.name} {_shown(version)} is too old, {_shown(program.least)} is needed ({program.get})"


def _small(room: Room, least: Room) -> Iterator[str]:
    if room.processors < least.processors:
        yield f"{room.processors:.0f} processors, at least {least.processors:.0f} are needed"
    if room.memory_gib < least.memory_gib * 0.9:  # a machine sold with 8 GiB shows a little less
        yield f"{room.memory_gib:.1f} GiB of memory, at least {least.memory_gib:.0f} are needed"
    if room.disk_gib < least.disk_gib:
        yield f"{room.disk_gib:.0f} GiB of free disk, at least {least.disk_gib:.0f} are needed"


def _version(said: str) -> Version | None:
    text = said
    if said.lstrip().startswith("{"):
        about: Mapping[str, Mapping[str, str]] = json.loads(said)
        text = about.get("clientVersion", {}).get("gitVersion", "")
    found = re.search(r"(\d+)\.(\d+)", text)
    return (int(found[1]), int(found[2])) if found else None


def _shown(version: Version) -> str:
    return f"{version[0]}.{version[1]}"
