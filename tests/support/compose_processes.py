"""Run the services of docker/compose.yaml as processes: a stand-in for docker in tests.

Each service has an address of its own on the loopback network, at which its names lead, so that ports stay those of the
file. Commands, environment, secrets, health checks and the order of the start are the file's; a process gets no other
variable. Programs of other projects that are missing here are replaced: MinIO by moto, PostgreSQL by SQLite.
"""

import os
import re
import shutil
import subprocess
import sys
import time
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import yaml

from operations.cluster.images import IMAGES, SERVICE_DOCKERFILE
from operations.compose.__main__ import COMPOSE_FILE
from operations.compose.state_folder import SECRETS
from tests.support.servers import minio_binary

REPOSITORY = Path(__file__).parents[2]
Service = dict[str, Any]
STEP_S = 0.2
UNPRIVILEGED = 65534


def interpolate(text: str, variables: Mapping[str, str]) -> str:
    """Replace `${NAME}`, `${NAME:-default}` and `${NAME:?message}` as compose does."""

    def value(found: re.Match[str]) -> str:
        name, operator, default = found["name"], found["operator"] or "", found["default"] or ""
        given = variables.get(name, "")
        if not given and operator == ":?":
            raise KeyError(f"{name}: {default}")
        return given or (default if operator == ":-" else "")

    return re.sub(r"(?<!\$)\$\{(?P<name>\w+)(?P<operator>:[-?])?(?P<default>[^}]*)\}", value, text)


def _interpolated(content: Any, variables: Mapping[str, str]) -> Any:
    """Replace the variables in the values, after the file is parsed: an empty one stays a string."""
    match content:
        case str():
            return interpolate(content, variables)
        case list():
            return [_interpolated(one, variables) for one in content]
        case dict():
            return {key: _interpolated(one, variables) for key, one in content.items()}
    return content


def read_compose(variables: Mapping[str, str]) -> dict[str, Any]:
    """Return the compose file with its variables replaced and without the services of other profiles."""
    content = _interpolated(yaml.safe_load((REPOSITORY / COMPOSE_FILE).read_text(encoding="utf-8")), variables)
    profiles = set(variables.get("COMPOSE_PROFILES", "").split(","))
    services = {
        name: one
        for name, one in content["services"].items()
        if not one.get("profiles") or profiles & set(one["profiles"])
    }
    return {**content, "services": services}


def is_one_shot(service: Service) -> bool:
    """Return whether a service ends by itself."""
    return service.get("restart", "").startswith("on-failure") or service.get("restart") == "no"


@dataclass
class ComposeProcesses:
    """Processes of the services of one state folder."""

    variables: Mapping[str, str]
    processes: dict[str, subprocess.Popen[bytes]] = field(default_factory=dict)

    def __post_init__(self) -> None:
        self.state = Path(self.variables["STATE"])
        self.file = read_compose(self.variables)
        self.services: dict[str, Service] = self.file["services"]
        network = 1 + os.getpid() % 250
        self.addresses = {name: f"127.{network}.0.{index}" for index, name in enumerate(self.services, 2)}
        self._names = dict(self.addresses)
        for name, service in self.services.items():
            if isinstance(service["networks"], dict):
                aliases = [alias for one in service["networks"].values() for alias in (one or {}).get("aliases", [])]
                self._names |= dict.fromkeys(aliases, self.addresses[name])

    def up(self, timeout_s: float = 180) -> None:
        """Start every service once those that it depends on are in the required state; wait until all are up."""
        end = time.monotonic() + timeout_s
        while not all(map(self._is_up, self.services)):
            for name, service in self.services.items():
                if name not in self.processes and self._may_start(service):
                    self._start(name, service)
                elif name in self.processes and self.processes[name].poll() not in {None, 0}:
                    raise RuntimeError(f"{name} ended:\n{self.log(name)[-3000:]}")
            if time.monotonic() > end:
                waiting = [name for name in self.services if not self._is_up(name)]
                raise TimeoutError(f"not up: {waiting}\n" + "\n".join(self.log(name)[-1500:] for name in waiting))
            time.sleep(STEP_S)

    def down(self) -> None:
        """Stop every process, in the opposite order of the start."""
        for process in reversed(self.processes.values()):
            process.terminate()
        for process in self.processes.values():
            try:
                process.wait(20)
            except subprocess.TimeoutExpired:
                process.kill()
                process.wait()

    def log(self, name: str) -> str:
        """Return the output of a service."""
        path = self.state / f"{name}.log"
        return path.read_text(encoding="utf-8", errors="replace") if path.exists() else ""

    def is_healthy(self, name: str) -> bool:
        """Run the health check of a service."""
        kind, *command = self.services[name]["healthcheck"]["test"]
        assert kind == "CMD"
        if command[0] in {"mc", "pg_isready"}:  # of images that are replaced
            port = {"minio": 9000, "postgres": 5432}[name]
            command = [sys.executable, "-c", f"import socket; socket.create_connection(('127.0.0.1', {port}), 2)"]
        return 0 == subprocess.run(self._localize(name, command), capture_output=True, check=False).returncode

    def _is_up(self, name: str) -> bool:
        if name not in self.processes:
            return False
        code = self.processes[name].poll()
        return code == 0 if is_one_shot(self.services[name]) else code is None and self.is_healthy(name)

    def _may_start(self, service: Service) -> bool:
        return all(name not in self.services or self._is_up(name) for name in service.get("depends_on", {}))

    def _start(self, name: str, service: Service) -> None:
        self._mount_secrets(name, service)
        environment = {
            "PATH": f"{Path(sys.executable).parent}:{os.environ['PATH']}",
            "PYTHONPATH": str(REPOSITORY),
            "PYTHONUNBUFFERED": "1",
            "HOME": "/tmp",
            "LOG_FORMAT": "json",  # of the images
            **{key: self._translate(name, str(value)) for key, value in (service.get("environment") or {}).items()},
        }
        command = self._localize(name, self._command(name, service))
        user = UNPRIVILEGED if name == "postgres" and os.geteuid() == 0 else None
        with (self.state / f"{name}.log").open("wb") as log:
            self.processes[name] = subprocess.Popen(
                command, env=environment, cwd=REPOSITORY, stdout=log, stderr=log, user=user, start_new_session=True
            )

    def _command(self, name: str, service: Service) -> list[str]:
        """Return the program of the image, or of the file, with the arguments of the file."""
        arguments = list(service.get("command", []))
        match name:
            case "minio":
                binary = minio_binary()
                moto = [sys.executable, "-m", "moto.server", "-H", "0.0.0.0", "-p", "9000"]
                return [binary, *arguments] if binary else moto
            case "postgres":
                return self._postgres(service)
        entrypoint = service.get("entrypoint") or _entrypoint(service["image"])
        return [*entrypoint, *arguments]

    def _postgres(self, service: Service) -> list[str]:
        """Return a server on a database that is made as the entry point of the image makes it."""
        data = self.state / "postgres"
        if shutil.which("postgres") is None:
            return ["python", "-m", "http.server", "--bind", "0.0.0.0", "5432"]
        password = self.state / "postgres.log.password"
        shutil.copy(self.state / SECRETS / "postgres-password", password)
        owner = UNPRIVILEGED if os.geteuid() == 0 else None
        for path in (data, password):
            if owner is not None:
                os.chown(path, owner, owner)
        common = ["--pgdata", f"{data}/pgdata", "--username", "mlflow"]
        initialize = ["initdb", *common, "--pwfile", str(password), "--auth", "scram-sha-256"]
        subprocess.run(initialize, check=True, capture_output=True, user=owner, cwd="/")
        single = ["postgres", "--single", "-D", f"{data}/pgdata", "postgres"]
        subprocess.run(single, input=b"CREATE DATABASE mlflow;\n", check=True, capture_output=True, user=owner, cwd="/")
        return ["postgres", "-D", f"{data}/pgdata", "-h", "0.0.0.0", "-k", f"{data}"]

    def _mount_secrets(self, name: str, service: Service) -> None:
        folder = self._secrets(name)
        folder.mkdir(parents=True, exist_ok=True)
        for one in service.get("secrets", []):
            source, target = (one, one) if isinstance(one, str) else (one["source"], one["target"])
            text = Path(self.file["secrets"][source]["file"]).read_text(encoding="utf-8")
            if source == "mlflow-database" and shutil.which("postgres") is None:
                text = f"sqlite:///{self.state}/mlflow.db"
            (folder / target).write_text(self._translate(name, text), encoding="utf-8")

    def _secrets(self, name: str) -> Path:
        return self.state / "mounted" / name

    def _localize(self, name: str, command: Sequence[str]) -> list[str]:
        program, *arguments = (self._translate(name, one).replace("$$", "$") for one in command)
        return [sys.executable if program == "python" else program, *arguments]

    def _translate(self, name: str, text: str) -> str:
        """Replace the addresses, the names and the mounted paths that a container would see."""
        mounts = {one["target"]: one["source"] for one in self.services[name].get("volumes", [])}
        mounts |= {"/run/secrets": str(self._secrets(name))}
        for target, source in mounts.items():
            text = re.sub(rf"(?<![\w.-]){re.escape(target)}(?![\w-])", source, text)
        text = re.sub(r"^:(?=\d+$)|\b0\.0\.0\.0\b|\b127\.0\.0\.1\b", lambda found: self._own(name, found[0]), text)
        names = "|".join(sorted(map(re.escape, self._names), key=len, reverse=True))
        return re.sub(rf"(?<![\w.-])({names})(?=:\d+(?![\w@-]))", lambda found: self._names[found[1]], text)

    def _own(self, name: str, found: str) -> str:
        return f"{self.addresses[name]}:" if found == ":" else self.addresses[name]


def _entrypoint(image: str) -> list[str]:
    """Return the entry point of an image of this product."""
    name = image.rpartition("/")[2].partition(":")[0]
    (found,) = [one for one in IMAGES if one.name == name and image.endswith(one.reference(image.rpartition(":")[2]))]
    if found.dockerfile == SERVICE_DOCKERFILE:
        return ["python", "-m", f"inference.{dict(found.arguments)['SERVICE']}"]
    return ["python", "-m"]
