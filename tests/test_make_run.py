"""Tests of one `make run` from start to Ctrl-C, on an imported release with random weights."""

import json
import os
import re
import signal
import stat
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import psutil
import pytest

from product_classifier.releases.release import Release
from tests.support.fixtures_models import draw_photo
from tests.support.gateway_client import predict
from tests.support.make_run import MakeRun
from tests.support.servers import free_ports
from tests.support.tiny_release import make_release
from tests.test_readme import SHELL

pytestmark = [pytest.mark.slow, pytest.mark.xdist_group("make run")]


@pytest.fixture(scope="module")
def state_dir(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return tmp_path_factory.mktemp("run") / "a state's folder"


@pytest.fixture(scope="module")
def release(tmp_path_factory: pytest.TempPathFactory) -> Release:
    """A release that was trained elsewhere."""
    return make_release(tmp_path_factory.mktemp("elsewhere"), 1)


@pytest.fixture(scope="module")
def run(state_dir: Path, release: Release) -> Iterator[MakeRun]:
    run = MakeRun(state_dir, free_ports(), RELEASE=str(release.path))
    run.wait_for(r"Ready after[\s\S]*demo-admin .* admin\n")
    yield run
    run.press_ctrl_c()
    run.wait()


def test_the_imported_release_is_served_without_training(run: MakeRun, release: Release) -> None:
    assert f"release {release.id} of {release.path} is deployed" in run.output
    assert "training_started" not in run.output
    assert f"{release.id}\n" == (run.state_dir / "releases" / "champion").read_text()
    assert release.id == predict(run, designation="Livre")["release"]


def test_a_location_without_a_release_ends_the_run_with_its_name(tmp_path: Path) -> None:
    run = MakeRun(tmp_path / "state", free_ports(), RELEASE=str(tmp_path))

    assert 0 != run.wait()
    assert f"import: {tmp_path}: has no release.json" in run.output


def test_the_url_and_the_accounts_are_printed(run: MakeRun) -> None:
    accounts = json.loads((run.state_dir / "accounts.json").read_text())

    assert {"demo-user": "user", "demo-reviewer": "reviewer", "demo-admin": "admin"} == {
        name: account["role"] for name, account in accounts.items()
    }
    assert run.url in run.output
    assert all(account["password"] in run.output for account in accounts.values())


def test_accounts_and_users_are_readable_by_their_owner_only(run: MakeRun) -> None:
    for name in ("accounts.json", "users.sqlite"):
        assert 0 == stat.S_IMODE((run.state_dir / name).stat().st_mode) & 0o077, name


def test_nothing_in_the_state_folder_is_readable_by_others(run: MakeRun) -> None:
    predict(run, designation="Piscine gonflable")
    before = {"champion", *(path.name for path in (run.state_dir / "releases").rglob("*"))}  # made by this test
    readable = {
        str(path.relative_to(run.state_dir))
        for path in run.state_dir.rglob("*")
        if path.name not in before and not path.is_symlink() and path.stat().st_mode & 0o077
    }

    assert readable == set()
    assert stat.S_IMODE(run.state_dir.stat().st_mode) == 0o700


def test_a_prediction_has_a_category_and_a_record(run: MakeRun) -> None:
    prediction = predict(run, designation="Piscine gonflable")
    [record] = (run.state_dir / "store/product-classifier/predictions").rglob(f"{prediction['prediction_id']}.json")

    assert prediction["category"]["code"] == json.loads(record.read_text())["code"]
    assert not prediction["degraded"]


def test_the_prediction_of_the_readme_works(run: MakeRun, tmp_path: Path) -> None:
    block = next(block for block in SHELL if "/predict" in block).replace("127.0.0.1:8080", f"127.0.0.1:{run.port}")
    photos = tmp_path / "data/raw/images/image_train"
    photos.mkdir(parents=True)
    (photos / "image_1_product_1.jpg").write_bytes(draw_photo(1))
    (tmp_path / ".run").symlink_to(run.state_dir)
    (tmp_path / ".venv/bin").mkdir(parents=True)
    (tmp_path / ".venv/bin/python").symlink_to(sys.executable)
    output = subprocess.run(["sh", "-euc", block], cwd=tmp_path, capture_output=True, text=True, check=True).stdout

    prediction = json.loads(output)
    assert 5 == len(prediction["top"])
    assert prediction["modalities"]["text"]
    assert prediction["modalities"]["image"]


def test_a_second_run_in_the_same_state_folder_is_rejected(run: MakeRun) -> None:
    second = MakeRun(run.state_dir, free_ports())
    second.wait_for(rf"error: .* is in use by another run \(process \d+, port {run.port}\)")

    assert 0 != second.wait()


def test_a_port_in_use_is_reported_before_anything_starts(run: MakeRun, tmp_path: Path) -> None:
    second = MakeRun(tmp_path, run.port)
    second.wait_for(rf"error: port in use: .*{run.port} \(auth-proxy http\)")

    assert 0 != second.wait()
    assert ["local.lock"] == [path.name for path in tmp_path.iterdir()]


@pytest.mark.parametrize("port", ["eighty", "0", "70000"])
def test_an_invalid_port_is_rejected(port: str) -> None:
    done = subprocess.run(
        [sys.executable, "-m", "operations.local"],
        check=False,
        env=os.environ | {"PORT": port},
        capture_output=True,
        text=True,
    )

    assert (1, True) == (done.returncode, done.stderr.startswith("error: PORT: must be "))
    assert done.stderr.endswith(f", not {port!r}\n")
    assert 1 == done.stderr.count("\n")


def test_a_killed_model_server_is_restarted(run: MakeRun) -> None:
    [killed] = processes("inference.text_predictor", run)
    os.kill(killed, signal.SIGKILL)
    run.wait_for(r"service_exited +process=text-predictor[\s\S]*text-predictor server_started")

    assert [killed] != processes("inference.text_predictor", run)
    assert not predict(run, designation="Piscine gonflable")["degraded"]


def test_every_line_names_its_service(run: MakeRun) -> None:
    predict(run, designation="Piscine gonflable")
    models = "text-predictor|image-predictor|fusion-transformer"
    names = f"local|{models}|feedback-service|retrain-trigger|monitoring|auth-proxy"
    lines = [line for line in run.output.partition("is deployed\n")[2].partition("Ready after")[0].splitlines() if line]

    assert [] == [line for line in lines if not re.match(rf"[\d:.]+ \w+ +({names}) ", line)]


def test_ctrl_c_stops_everything_with_status_0(run: MakeRun) -> None:
    run.press_ctrl_c()

    assert 0 == run.wait(), run.output
    assert [] == processes("inference.", run)


def processes(module: str, run: MakeRun) -> list[int]:
    """Return the ids of the processes that run a module for this state folder."""
    return [
        process.pid
        for process in psutil.process_iter(["cmdline", "environ"])
        if any(word.startswith(module) for word in process.info["cmdline"] or [])
        and (process.info["environ"] or {}).get("STATE_DIR") == str(run.state_dir)
    ]
