"""One `make run` from start to Ctrl-C, on a release of made-up weights."""

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

from tests.support.fixtures_models import draw_photo
from tests.support.gateway_client import predict
from tests.support.make_run import MakeRun
from tests.support.servers import free_ports
from tests.support.tiny_release import make_release
from tests.test_readme import SHELL

pytestmark = [pytest.mark.slow, pytest.mark.xdist_group("make run")]


@pytest.fixture(scope="module")
def state_dir(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("run") / "a state's folder"
    (folder / "releases").mkdir(parents=True)
    release = make_release(folder / "releases", 1)
    (folder / "releases" / "champion").write_text(f"{release.id}\n")
    return folder


@pytest.fixture(scope="module")
def run(state_dir: Path) -> Iterator[MakeRun]:
    run = MakeRun(state_dir, free_ports())
    run.wait_for(r"Ready after[\s\S]*demo-admin .* admin\n")
    yield run
    run.press_ctrl_c()
    run.wait()


def test_it_says_where_it_is_and_who_may_use_it(run: MakeRun) -> None:
    accounts = json.loads((run.state_dir / "accounts.json").read_text())

    assert {"demo-user": "user", "demo-reviewer": "reviewer", "demo-admin": "admin"} == {
        name: account["role"] for name, account in accounts.items()
    }
    assert run.url in run.output
    assert all(account["password"] in run.output for account in accounts.values())


def test_its_secrets_are_its_owners_alone(run: MakeRun) -> None:
    for name in ("accounts.json", "users.sqlite"):
        assert 0 == stat.S_IMODE((run.state_dir / name).stat().st_mode) & 0o077, name


def test_a_title_gets_a_category_and_a_record(run: MakeRun) -> None:
    answer = predict(run, designation="Piscine gonflable")
    [record] = (run.state_dir / "store/product-classifier/predictions").rglob(f"{answer['prediction_id']}.json")

    assert answer["category"]["code"] == json.loads(record.read_text())["code"]
    assert not answer["degraded"]


def test_the_readmes_prediction_works(run: MakeRun, tmp_path: Path) -> None:
    block = next(block for block in SHELL if "/predict" in block).replace("127.0.0.1:8080", f"127.0.0.1:{run.port}")
    photos = tmp_path / "data/raw/images/image_train"
    photos.mkdir(parents=True)
    (photos / "image_1_product_1.jpg").write_bytes(draw_photo(1))
    (tmp_path / ".run").symlink_to(run.state_dir)
    (tmp_path / ".venv/bin").mkdir(parents=True)
    (tmp_path / ".venv/bin/python").symlink_to(sys.executable)
    said = subprocess.run(["sh", "-euc", block], cwd=tmp_path, capture_output=True, text=True, check=True).stdout

    answer = json.loads(said)
    assert 5 == len(answer["top"])
    assert answer["modalities"]["text"]
    assert answer["modalities"]["image"]


def test_a_second_run_in_the_same_folder_is_refused(run: MakeRun) -> None:
    second = MakeRun(run.state_dir, free_ports())
    second.wait_for(rf"error: .* is in use by another run \(process \d+, port {run.port}\)")

    assert 0 != second.wait()


def test_a_port_in_use_is_named_before_anything_starts(run: MakeRun, tmp_path: Path) -> None:
    second = MakeRun(tmp_path, run.port)
    second.wait_for(rf"error: port in use: .*{run.port} \(auth-proxy http\)")

    assert 0 != second.wait()
    assert ["local.lock"] == [path.name for path in tmp_path.iterdir()]


@pytest.mark.parametrize("port", ["eighty", "0", "70000"])
def test_a_port_that_is_none_is_refused(port: str) -> None:
    said = subprocess.run(
        [sys.executable, "-m", "operations.local"],
        check=False,
        env=os.environ | {"PORT": port},
        capture_output=True,
        text=True,
    )

    assert (1, True) == (said.returncode, said.stderr.startswith(f"error: PORT='{port}': "))
    assert 1 == said.stderr.count("\n")


def test_a_model_server_that_is_killed_comes_back(run: MakeRun) -> None:
    [before] = processes("inference.text_predictor", run)
    os.kill(before, signal.SIGKILL)
    run.wait_for(r"died process=text-predictor[\s\S]*text-predictor serving")

    assert [before] != processes("inference.text_predictor", run)
    assert not predict(run, designation="Piscine gonflable")["degraded"]


def test_every_line_names_its_service(run: MakeRun) -> None:
    predict(run, designation="Piscine gonflable")
    names = "local|text-predictor|image-predictor|fusion-transformer|feedback-service|retrain-trigger|auth-proxy"
    lines = [line for line in run.output.partition("Ready after")[0].splitlines() if line]

    assert [] == [line for line in lines if not re.match(rf"[\d:.]+ \w+ +({names}) ", line)]


def test_ctrl_c_stops_everything_with_status_0(run: MakeRun) -> None:
    run.press_ctrl_c()

    assert 0 == run.wait(), run.output
    assert [] == processes("inference.", run)


def processes(module: str, run: MakeRun) -> list[int]:
    """Those that run this module for this state folder."""
    return [
        process.pid
        for process in psutil.process_iter(["cmdline", "environ"])
        if any(word.startswith(module) for word in process.info["cmdline"] or [])
        and (process.info["environ"] or {}).get("STATE_DIR") == str(run.state_dir)
    ]
