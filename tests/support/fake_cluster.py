"""A cluster that is a dictionary, behind the same two calls as the real one."""

import base64
import json
from collections.abc import Sequence
from typing import Any

from operations.cluster.commands import CommandFailed, Commands

Object = dict[str, Any]


class FakeCluster(Commands):
    """Keeps what is applied through standard input; everything else it is asked to run is only noted."""

    def __init__(self) -> None:
        self.said: list[str] = []
        self.ran: list[list[str]] = []
        self.objects: dict[tuple[str, str, str], Object] = {}
        self.answers: dict[str, str] = {}
        super().__init__(self.said.append)

    def run(self, command: Sequence[str], *, given: str | None = None) -> str:
        self.ran.append(list(command))
        line = " ".join(command)
        for begin, answer in self.answers.items():
            if line.startswith(begin):
                return answer
        if given is not None and "apply" in command:
            self._keep(json.loads(given))
        return ""

    def get(self, *words: str) -> Object | None:
        kind, *name = [word for word in words if not word.startswith("--")]
        namespace = name.pop() if "--namespace" in words else ""
        if name:
            return self.objects.get((kind, namespace, name[0]))
        found = [one for (of, where, _), one in self.objects.items() if where == namespace and of in kind]
        return {"items": found} if found else None

    def _keep(self, given: Object) -> None:
        plural = given["kind"].lower() + "s"
        if given["kind"] == "Secret":
            given["data"] = {name: _encoded(value) for name, value in given.pop("stringData").items()}
        self.objects[plural, given["metadata"]["namespace"], given["metadata"]["name"]] = given


class NoPrograms(Commands):
    """A machine without a single program."""

    def __init__(self) -> None:
        super().__init__(print)

    def run(self, command: Sequence[str], *, given: str | None = None) -> str:
        raise CommandFailed(f"{command[0]!r} cannot be started: No such file or directory")


def _encoded(value: str) -> str:
    return base64.b64encode(value.encode()).decode()
