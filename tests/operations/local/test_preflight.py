"""Whatever would stop a run later is found before anything is started."""

import socket
from pathlib import Path

import pytest

from operations.local.occupancy import Occupied, check_ports, only_run
from operations.local.services import Service, services
from operations.local.settings import Settings
from tests.support.servers import free_port


def test_a_port_in_use_is_named_with_the_service_that_wants_it() -> None:
    with socket.create_server(("127.0.0.1", 0)) as taken:
        port = taken.getsockname()[1]
        with pytest.raises(Occupied, match=rf"port in use: {port} \(auth-proxy http\); .* make run PORT="):
            check_ports([Service("auth-proxy", (), {"http": port, "metrics": free_port()})])


def test_free_ports_are_fine() -> None:
    check_ports([Service("a", (), {"http": free_port()})])


def test_no_two_services_want_the_same_port() -> None:
    ports = [port for service in services(Settings(port=20000)) for port in service.ports.values()]

    assert len(ports) == len(set(ports))


def test_the_second_run_in_a_folder_is_told_of_the_first(tmp_path: Path) -> None:
    with (
        only_run(tmp_path, "process 12, port 8080"),
        pytest.raises(Occupied, match=r"process 12, port 8080"),
        only_run(tmp_path, "second"),
    ):
        pass
    with only_run(tmp_path, "third"):
        pass
