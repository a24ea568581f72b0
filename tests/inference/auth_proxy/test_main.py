"""The gateway as a process: start, invalid settings, shutdown."""

import contextlib
import http.client
import io
import os
import resource
import signal
import socket
import subprocess
import sys
import threading
from functools import partial
from pathlib import Path

import httpx
import orjson
import pytest
from prometheus_client import CollectorRegistry, Counter

from inference.auth_proxy import __main__ as gateway
from inference.auth_proxy.__main__ import main
from inference.auth_proxy.server import listen, serve_metrics
from inference.auth_proxy.settings import Settings
from tests.support.fakes import FakeStore
from tests.support.servers import wait_until_up

COMMAND = [sys.executable, "-m", "inference.auth_proxy"]


def free_port() -> int:
    with socket.create_server(("127.0.0.1", 0)) as listener:
        return int(listener.getsockname()[1])


def test_a_process_serves_both_ports_and_stops_on_sigterm(tmp_path: Path) -> None:
    port, internal = free_port(), free_port()
    environment = os.environ | {
        "AUTH_PROXY_PORT": str(port), "AUTH_PROXY_METRICS_PORT": str(internal), "AUTH_PROXY_STATE_DIR": str(tmp_path),
        "AUTH_PROXY_ACCOUNTS_FILE": str(tmp_path / "other/accounts.json"),
    }  # fmt: skip
    assert main(["accounts", "--state", str(tmp_path / "other")]) == 0
    accounts = orjson.loads((tmp_path / "other/accounts.json").read_bytes())
    with subprocess.Popen(COMMAND, env=environment, stderr=subprocess.PIPE) as process:
        try:
            client = httpx.Client(base_url=f"http://127.0.0.1:{port}", trust_env=False, verify=False)
            wait_until_up(client)
            login = {"username": "demo-user", "password": accounts["demo-user"]["password"]}
            token = client.post("/token", data=login).json()["access_token"]
            asked = client.post("/predict", json={"designation": "x"}, headers={"Authorization": f"Bearer {token}"})
            metrics = httpx.get(f"http://127.0.0.1:{internal}/metrics", trust_env=False, verify=False).text
            ready = client.get("/readyz").json()
            client.get("/v2/health/ready", headers={"Authorization": f"Bearer {token}"})
        finally:
            process.send_signal(signal.SIGTERM)
            log = process.stderr.read().decode() if process.stderr else ""
            status = process.wait(timeout=20)

    assert asked.status_code == 503  # no models run here
    assert "product_classifier_http_request_duration_seconds_count" in metrics
    assert ready["checks"]["store"] is True
    assert status == 0
    assert accounts["demo-user"]["password"] not in log
    assert token not in log
    assert "Traceback" not in log
    assert "path=/token" in log
    assert not [path for path in ("/healthz", "/readyz", "/v2/health", "/metrics") if path in log]


def test_idle_connections_leave_descriptors_for_requests_and_records(tmp_path: Path) -> None:
    port = free_port()
    environment = os.environ | {
        "AUTH_PROXY_PORT": str(port), "AUTH_PROXY_METRICS_PORT": "0", "AUTH_PROXY_STATE_DIR": str(tmp_path),
    }  # fmt: skip
    few = partial(resource.setrlimit, resource.RLIMIT_NOFILE, (64, 256))
    with subprocess.Popen(COMMAND, env=environment, stderr=subprocess.DEVNULL, preexec_fn=few) as process:  # noqa: PLW1509
        try:
            wait_until_up(httpx.Client(base_url=f"http://127.0.0.1:{port}", trust_env=False, verify=False))
            with contextlib.ExitStack() as stack:
                for _ in range(500):
                    stack.enter_context(socket.create_connection(("127.0.0.1", port)))
                statuses = []
                for _ in range(100):
                    connection = http.client.HTTPConnection("127.0.0.1", port, timeout=20)
                    connection.request("GET", "/healthz")
                    statuses.append(connection.getresponse().status)
                    stack.callback(connection.close)
                descriptors = len(list(Path(f"/proc/{process.pid}/fd").iterdir()))
        finally:
            process.terminate()
            process.wait(timeout=20)

    assert [200] * 100 == statuses
    assert 96 <= descriptors < 200


def test_idle_connections_to_the_metrics_leave_metrics_for_others() -> None:
    registry = CollectorRegistry()
    Counter("made", "Things made.", registry=registry).inc()
    listener = listen("127.0.0.1", 0)
    port = listener.getsockname()[1]
    serve_metrics(registry, listener)
    threads = threading.active_count()
    with contextlib.ExitStack() as stack:
        for _ in range(200):
            stack.enter_context(socket.create_connection(("127.0.0.1", port)))
        text = httpx.get(f"http://127.0.0.1:{port}/metrics", trust_env=False, verify=False, timeout=20).text
        more = threading.active_count() - threads

    assert "made_total 1.0" in text
    assert 2 > more


async def test_the_probe_of_the_store_is_under_a_prefix_of_the_gateway(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Credentials may be restricted to prefixes."""
    store, probed = FakeStore(), list[str]()
    monkeypatch.setattr(store, "put", lambda key, _: probed.append(key))
    monkeypatch.setattr(gateway, "open_store", lambda *_, **__: store)
    writer = gateway.assemble(Settings(state_dir=tmp_path)).record_writer

    assert await writer.store_responds()
    assert probed == ["images/probe"]


def test_a_gateway_whose_log_is_not_read_responds_and_counts_the_lost_lines(tmp_path: Path) -> None:
    port, internal = free_port(), free_port()
    environment = os.environ | {
        "AUTH_PROXY_PORT": str(port), "AUTH_PROXY_METRICS_PORT": str(internal), "AUTH_PROXY_STATE_DIR": str(tmp_path),
    }  # fmt: skip
    with subprocess.Popen(COMMAND, env=environment, stderr=subprocess.PIPE) as process:
        with httpx.Client(base_url=f"http://127.0.0.1:{port}", trust_env=False, verify=False) as client:
            wait_until_up(client)
            statuses = {client.get(f"/{number}").status_code for number in range(1500)}
            metrics = httpx.get(f"http://127.0.0.1:{internal}/metrics", trust_env=False, verify=False).text
        process.send_signal(signal.SIGTERM)
        status = process.wait(timeout=20)

    assert {404} == statuses
    assert 'product_classifier_log_lines_dropped_total{reason="full"} 0.0' in metrics
    assert status == 0


def test_a_port_in_use_is_reported_in_one_line(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    with socket.create_server(("127.0.0.1", 0)) as listener:
        port = listener.getsockname()[1]
        monkeypatch.setenv("AUTH_PROXY_PORT", str(port))
        monkeypatch.setenv("AUTH_PROXY_STATE_DIR", str(tmp_path))
        status = subprocess.run(COMMAND, check=False, capture_output=True, text=True, timeout=60)

    assert status.returncode == 2
    assert "in use" in status.stderr
    assert str(port) in status.stderr
    assert "Traceback" not in status.stderr


@pytest.mark.parametrize(
    ("setting", "reported"),
    [
        ("PORT=eighty", "'eighty'"),
        ("FUSION_URL=file:///etc/passwd", "AUTH_PROXY_FUSION_URL: "),
        ("FUSION_URL=http://user:secret@host", "AUTH_PROXY_FUSION_URL: "),
        ("RATE_LIMIT=many", "many"),
        ("STORE_URL=ftp://x", "ftp"),
        ("FEEDBACK_URL=http://feedback", "INTERNAL_TOKEN"),
        ("OIDC_ISSUER=http://issuer", "OIDC_AUDIENCE"),
    ],
)
def test_an_invalid_setting_is_reported_at_start(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str], setting: str, reported: str
) -> None:
    name, value = setting.split("=", 1)
    monkeypatch.setenv("AUTH_PROXY_STATE_DIR", str(tmp_path))
    monkeypatch.setenv(f"AUTH_PROXY_{name}", value)
    monkeypatch.setattr("inference.auth_proxy.__main__.configure_logging", lambda service: None)

    status, output = main([]), capsys.readouterr().err

    assert (status, reported in output, "secret" in output) == (2, True, False)


def test_commands_add_a_user_and_rotate_the_key(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setattr(sys, "stdin", io.StringIO("a long enough password\n"))
    state = ["--state", str(tmp_path)]

    statuses = [main(["add-user", "zoe", "--role", "admin", *state]), main(["rotate-key", *state])]
    monkeypatch.setattr(sys, "stdin", io.StringIO("a long enough password\n"))
    again = main(["add-user", "zoe", *state])

    assert (statuses, again) == ([0, 0], 2)
    assert "already" in capsys.readouterr().err


def test_settings_cannot_be_changed_and_hide_secrets() -> None:
    settings = Settings(internal_token="s" * 40)  # type: ignore[arg-type]

    assert "s" * 40 not in repr(settings)
    with pytest.raises(ValueError, match="frozen"):
        settings.port = 1  # type: ignore[misc]
