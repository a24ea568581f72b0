"""A fake of `CommandRunner`: a cluster whose objects are a dictionary."""

import base64
import json
from collections.abc import Sequence
from typing import Any

from operations.cluster.command_runner import CommandFailed, CommandRunner

Object = dict[str, Any]


class FakeCluster(CommandRunner):
    """Stores what is applied through standard input; all other commands are only recorded."""

    def __init__(self) -> None:
        self.reported: list[str] = []
        self.commands: list[list[str]] = []
        self.objects: dict[tuple[str, str, str], Object] = {}
        self.lists: list[list[Object]] = []
        """Items of the lists that were applied; they are not stored."""
        self.outputs: dict[str, str] = {}
        """Standard output by the beginning of the command."""
        super().__init__(self.reported.append)

    def run(self, command: Sequence[str], *, stdin: str | None = None) -> str:
        self.commands.append(list(command))
        line = " ".join(command)
        for begin, output in self.outputs.items():
            if line.startswith(begin):
                return output
        if stdin is not None and "apply" in command:
            manifest = json.loads(stdin)
            if manifest["kind"] == "List":
                self.lists.append(manifest["items"])
            else:
                self._apply(manifest)
        return ""

    def get(self, *arguments: str) -> Object | None:
        kind, *name = [argument for argument in arguments if not argument.startswith("--")]
        namespace = name.pop() if "--namespace" in arguments else ""
        if name:
            return self.objects.get((kind, namespace, name[0]))
        found = [one for (of, where, _), one in self.objects.items() if where == namespace and of in kind]
        return {"items": found} if found else None

    def _apply(self, manifest: Object) -> None:
        plural = manifest["kind"].lower() + "s"
        if manifest["kind"] == "Secret":
            manifest["data"] = {name: _base64(value) for name, value in manifest.pop("stringData").items()}
        self.objects[plural, manifest["metadata"]["namespace"], manifest["metadata"]["name"]] = manifest


class NoPrograms(CommandRunner):
    """A machine on which no program is installed."""

    def __init__(self) -> None:
        super().__init__(print)

    def run(self, command: Sequence[str], *, stdin: str | None = None) -> str:
        raise CommandFailed(f"{command[0]!r} cannot be started: No such file or directory")


def _base64(value: str) -> str:
    return base64.b64encode(value.encode()).decode()
