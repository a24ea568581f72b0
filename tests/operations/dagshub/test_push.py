"""Data and models are pushed to a stand-in for DagsHub, whose registry lacks routes."""

import stat
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest

from components.shared.tracking import RegistryRefused, Tracking
from operations.cluster.command_runner import CommandFailed, CommandRunner
from operations.dagshub.__main__ import VARIABLES, main, push
from operations.dagshub.repository import AccessRefused
from operations.dagshub.settings import Settings
from tests.support.fake_cluster import FakeCluster
from tests.support.fake_dagshub import OWNER, REPO, TOKEN, FakeDagsHub, fake_dagshub
from tests.support.servers import free_port


@pytest.fixture
def hub() -> Iterator[FakeDagsHub]:
    with fake_dagshub() as found:
        yield found


def settings(hub: FakeDagsHub, state: Path, **changes: str) -> Settings:
    given = {"owner": OWNER, "repo": REPO, "dagshub_token": TOKEN, "dagshub_url": hub.url, "state_dir": state}
    return Settings(**given | changes)  # type: ignore[arg-type]


def test_the_remote_is_added_and_the_release_registered(hub: FakeDagsHub, tmp_path: Path) -> None:
    (tmp_path / "releases").mkdir()
    (tmp_path / "releases" / "champion").write_text("r-1\n")
    runner = FakeCluster()
    push(runner, settings(hub, tmp_path))

    dvc = [sys.executable, "-m", "dvc"]
    assert [
        *dvc,
        "remote",
        "modify",
        "--local",
        "dagshub",
        "endpointurl",
        f"{hub.url}/{OWNER}/{REPO}.s3",
    ] in runner.commands
    assert [*dvc, "push", "--remote", "dagshub"] in runner.commands
    assert [sys.executable, "-m", "pipelines", "register", "r-1"] == runner.commands[-1]
    assert TOKEN not in str(runner.commands) + str(runner.reported)


def test_the_variables_are_readable_by_their_owner_only(hub: FakeDagsHub, tmp_path: Path) -> None:
    push(FakeCluster(), settings(hub, tmp_path))
    file = tmp_path / VARIABLES

    assert 0o600 == stat.S_IMODE(file.stat().st_mode)
    variables = dict(line.split("=", 1) for line in file.read_text().splitlines())
    assert f"{hub.url}/{OWNER}/{REPO}.mlflow" == variables["MLFLOW_TRACKING_URI"]
    assert {TOKEN} == {variables["MLFLOW_TRACKING_USERNAME"], variables["MLFLOW_TRACKING_PASSWORD"]}


def test_a_refused_registration_is_reported_and_does_not_fail(hub: FakeDagsHub, tmp_path: Path) -> None:
    class Refusing(FakeCluster):
        def run(self, command: object, *, stdin: str | None = None) -> str:
            if "register" in list(command):  # type: ignore[call-overload]
                raise CommandFailed("register: MLflow: refused: 404")
            return ""

    (tmp_path / "releases").mkdir()
    (tmp_path / "releases" / "champion").write_text("r-1\n")
    runner = Refusing()
    push(runner, settings(hub, tmp_path))

    assert "release r-1 is not registered, everything else is done: register: MLflow: refused: 404" in runner.reported


@pytest.mark.parametrize(
    ("changes", "message"),
    [
        ({"dagshub_token": "other"}, r"DAGSHUB_TOKEN: is refused for team/shop \(401\); create one"),
        ({"repo": "absent"}, "OWNER, REPO: there is no team/absent; create it on"),
        ({"dagshub_url": f"http://127.0.0.1:{free_port()}"}, r"does not respond .*; check DAGSHUB_URL"),
    ],
)
def test_without_access_nothing_is_changed(
    hub: FakeDagsHub, tmp_path: Path, changes: dict[str, str], message: str
) -> None:
    runner = FakeCluster()
    with pytest.raises(AccessRefused, match=message):
        push(runner, settings(hub, tmp_path, **changes))

    assert [] == runner.commands
    assert not (tmp_path / VARIABLES).exists()


def test_a_missing_variable_is_named(monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]) -> None:
    monkeypatch.setenv("OWNER", OWNER)
    for name in ("REPO", "DAGSHUB_TOKEN"):
        monkeypatch.delenv(name, raising=False)

    assert 1 == main([])
    assert "REPO: " in capsys.readouterr().err


@pytest.mark.slow
def test_dvc_pushes_to_the_remote_and_pulls_from_it(
    hub: FakeDagsHub, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    wanted = settings(hub, tmp_path / "state")
    for name, value in wanted.variables.items():
        monkeypatch.setenv(name, value)
    (tmp_path / "data.csv").write_text("a,b\n")
    for command in (["init", "--no-scm", "--quiet"], ["add", "--quiet", "data.csv"]):
        subprocess.run([sys.executable, "-m", "dvc", *command], check=True)
    push(CommandRunner(lambda _: None), wanted)

    assert b"a,b\n" in hub.objects.values()
    (tmp_path / "data.csv").unlink()
    for path in (tmp_path / ".dvc/cache").rglob("*"):
        if path.is_file():
            path.chmod(0o600)
            path.unlink()
    subprocess.run([sys.executable, "-m", "dvc", "pull", "--quiet", "--remote", "dagshub"], check=True)
    assert "a,b\n" == (tmp_path / "data.csv").read_text()
    assert TOKEN not in (tmp_path / ".dvc/config.local").read_text()


@pytest.mark.slow
@pytest.mark.parametrize(("token", "reason"), [(TOKEN, "404"), ("other", "no account|401")])
def test_routes_that_its_mlflow_lacks_refuse_the_registration(
    hub: FakeDagsHub, monkeypatch: pytest.MonkeyPatch, token: str, reason: str
) -> None:
    for name in ("MLFLOW_TRACKING_USERNAME", "MLFLOW_TRACKING_PASSWORD"):
        monkeypatch.setenv(name, token)
    monkeypatch.setenv("MLFLOW_HTTP_REQUEST_MAX_RETRIES", "0")

    with pytest.raises(RegistryRefused, match=reason):
        Tracking(f"{hub.url}/{OWNER}/{REPO}.mlflow", "product-classifier").set_champion_alias("r-1")
    assert hub.mlflow
