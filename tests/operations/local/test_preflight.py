"""Tests of the checks before a local run starts anything."""

import os
import socket
import stat
from pathlib import Path

import pytest

from operations.local.preflight import ResourceInUse, check_ports, lock_state_dir
from operations.local.service_table import Service, services
from operations.local.settings import Settings
from tests.support.servers import free_port


def test_a_port_in_use_is_reported_with_its_service() -> None:
    with socket.create_server(("127.0.0.1", 0)) as listener:
        port = listener.getsockname()[1]
        with pytest.raises(
            ResourceInUse,
            match=rf"port in use: {port} \(auth-proxy http\) by process {os.getpid()}, '.*python.* make run PORT=",
        ):
            check_ports([Service("auth-proxy", (), {"http": port, "metrics": free_port()})])


def test_free_ports_are_accepted() -> None:
    check_ports([Service("a", (), {"http": free_port()})])


def test_no_two_services_use_the_same_port() -> None:
    ports = [port for service in services(Settings(port=20000)) for port in service.ports.values()]

    assert len(ports) == len(set(ports))


def test_a_second_run_in_a_state_folder_is_rejected_with_the_owner_of_the_first(tmp_path: Path) -> None:
    with (
        lock_state_dir(tmp_path, "process 12, port 8080"),
        pytest.raises(ResourceInUse, match=r"process 12, port 8080"),
        lock_state_dir(tmp_path, "second"),
    ):
        pass
    with lock_state_dir(tmp_path, "third"):
        pass


def test_a_state_folder_of_an_earlier_version_is_restricted_to_its_owner(tmp_path: Path) -> None:
    folder, umask = tmp_path / "state", os.umask(0o022)
    try:
        for name in ("logs", "store", "releases", "mine"):
            (folder / name).mkdir(parents=True)
        (folder / "mlflow.db").touch()
        with lock_state_dir(folder, "a run"):
            (folder / "logs" / "new.log").touch()
    finally:
        os.umask(umask)
    modes = {path.name: stat.S_IMODE(path.stat().st_mode) for path in (folder, *folder.iterdir())}

    assert modes == {
        "state": 0o700, "logs": 0o700, "store": 0o700, "releases": 0o700, "mlflow.db": 0o600, "local.lock": 0o600,
        "mine": 0o755,
    }  # fmt: skip
    assert stat.S_IMODE((folder / "logs" / "new.log").stat().st_mode) == 0o600
