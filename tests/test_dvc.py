"""The stages in a fresh clone, with nothing but tracked files."""

import csv
import inspect
import json
import os
import re
import shlex
import shutil
import subprocess
import sys
from collections.abc import Iterator
from importlib import import_module
from pathlib import Path
from urllib.parse import urlsplit

import pandas as pd
import pytest
import yaml
from minio import Minio

from components.__main__ import RESULTS
from tests.support.fixtures_data import RawFolder
from tests.support.servers import MINIO_PASSWORD, MINIO_USER, minio_binary, minio_server, moto_server

ROOT = Path(__file__).parents[1]
SIDES = ("train", "validation", "test", "unseen")
DVC = yaml.safe_load((ROOT / "dvc.yaml").read_text())
STAGES = DVC["stages"]
PLOTS = {next(iter(plot)) for plot in DVC["plots"]}
PARAMS = yaml.safe_load((ROOT / "params.yaml").read_text())


class Clone:
    """A copy of the tracked files in a separate git repository."""

    def __init__(self, folder: Path, products: int) -> None:
        self.folder = folder
        for name in ("components", "src", ".dvc/config", ".dvc/.gitignore", ".dvcignore", ".gitignore", "dvc.yaml"):
            source, target = ROOT / name, folder / name
            target.parent.mkdir(parents=True, exist_ok=True)
            if source.is_dir():
                shutil.copytree(source, target, ignore=shutil.ignore_patterns("__pycache__", "*.egg-info"))
            else:
                shutil.copy(source, target)
        small = {"make_sample": {"products": products, "seed": 1}, "train_text": {"buckets": 4096}}
        small["train_image"] = {"size": 64}
        params = {name: PARAMS[name] | small[name] if name in small else PARAMS[name] for name in PARAMS}
        (folder / "params.yaml").write_text(yaml.safe_dump(params))
        self.run("git", "init", "-q")
        self.run("git", "config", "user.name", "tests")
        self.run("git", "config", "user.email", "tests@example.org")
        self.run("git", "add", "-A")

    def dvc(self, *words: str) -> str:
        return self.run(sys.executable, "-m", "dvc", *words)

    def run(self, *command: str) -> str:
        path = f"{Path(sys.executable).parent}{os.pathsep}{os.environ['PATH']}"
        site = self.folder.parent / "site"  # what DVC keeps for a whole machine stays in the test's folder
        env = os.environ | {"PATH": path, "PYTHONPATH": "src", "DVC_SITE_CACHE_DIR": str(site), "DVC_NO_ANALYTICS": "1"}
        done = subprocess.run(command, cwd=self.folder, env=env, capture_output=True, text=True, check=False)
        assert done.returncode == 0, done.stdout + done.stderr
        return done.stdout

    def lose(self) -> None:
        """Delete everything that DVC can restore."""
        for folder in ("data", ".dvc/cache"):
            shutil.rmtree(self.folder / folder)


@pytest.fixture(scope="module")
def clone(tmp_path_factory: pytest.TempPathFactory) -> Clone:
    """A clone in which `dvc repro` was run."""
    clone = Clone(tmp_path_factory.mktemp("reproduced") / "clone", 80)
    clone.dvc("repro")
    return clone


@pytest.fixture
def s3(monkeypatch: pytest.MonkeyPatch) -> Iterator[str]:
    """Start MinIO, or moto without a MinIO binary, with a bucket and credentials in the environment."""
    binary = minio_binary()
    with minio_server(binary) if binary else moto_server() as url:
        Minio(urlsplit(url).netloc, MINIO_USER, MINIO_PASSWORD, secure=False).make_bucket("dvc")
        monkeypatch.setenv("AWS_ACCESS_KEY_ID", MINIO_USER)
        monkeypatch.setenv("AWS_SECRET_ACCESS_KEY", MINIO_PASSWORD)
        yield url


@pytest.mark.slow
def test_repro_in_a_clone_then_push_and_pull_through_a_folder(clone: Clone, tmp_path: Path) -> None:
    assert "up to date" in clone.dvc("status")
    products = sum(len(pd.read_parquet(clone.folder / "data" / "splits" / f"{side}.parquet")) for side in SIDES)
    assert 80 == products

    clone.dvc("remote", "add", "--local", "--default", "folder", str(tmp_path / "remote"))
    clone.dvc("push")
    clone.lose()
    clone.dvc("pull")

    assert "up to date" in clone.dvc("status")
    assert str(tmp_path) not in (clone.folder / ".dvc" / "config").read_text()
    assert str(tmp_path) not in (clone.folder / "dvc.lock").read_text()


@pytest.mark.slow
def test_push_and_pull_through_s3_as_the_page_about_data_says(clone: Clone, s3: str) -> None:
    block = re.search(r"```sh\n(dvc remote .*?)```", (ROOT / "data" / "README.md").read_text(), re.DOTALL)
    assert block
    said = block[1].replace("s3://bucket/path", "s3://dvc/catalogue").replace("http://minio:9000", s3)
    for line in said.strip().splitlines():
        clone.run(sys.executable, "-m", *shlex.split(line, comments=True))
    clone.lose()
    clone.dvc("pull")

    assert "up to date" in clone.dvc("status")
    assert "in sync" in clone.dvc("status", "--cloud")
    stored = Minio(urlsplit(s3).netloc, MINIO_USER, MINIO_PASSWORD, secure=False).list_objects("dvc", recursive=True)
    assert 80 < len(list(stored))
    assert s3 not in (clone.folder / ".dvc" / "config").read_text()


@pytest.mark.slow
def test_repro_takes_the_challenges_files_and_leaves_them(tmp_path: Path) -> None:
    clone = Clone(tmp_path / "clone", 80)
    raw = RawFolder(clone.folder / "data" / "raw")
    for number in range(40):
        raw.add(f"Un vrai produit {number}")
    before = (raw.write() / raw.products).read_bytes()

    clone.dvc("repro", "split_catalogue")

    assert before == (raw.folder / raw.products).read_bytes()
    assert 40 == len(pd.read_parquet(clone.folder / "data" / "catalogue.parquet"))


@pytest.mark.slow
def test_an_experiment_is_run_shown_and_compared(clone: Clone) -> None:
    clone.run("git", "add", "-A")
    clone.run("git", "commit", "-qm", "base")
    clone.dvc("exp", "run", "--name", "half", "-S", "train_text.C=0.5")

    shown = list(csv.DictReader(clone.dvc("exp", "show", "--csv").splitlines()))
    names = {"text.out_of_fold_weighted_f1", "fusion.out_of_fold_weighted_f1", "fusion.weighted_f1", "text.weighted_f1"}
    assert names <= shown[0].keys()
    assert {"1.0", "0.5"} == {row["train_text.C"] for row in shown}
    assert ["half"] == [row["Experiment"] for row in shown if row["typ"] == "branch_base"]

    changed = json.loads(clone.dvc("metrics", "diff", "--all", "--json"))
    assert "text.out_of_fold_weighted_f1" in changed["data/models/text_metrics.json"]
    plots = json.loads(clone.dvc("plots", "diff", "--json"))
    assert PLOTS == set(plots["data"])
    assert {frozenset({"HEAD", "workspace"})} == {frozenset(one["revisions"]) for (one,) in plots["data"].values()}


@pytest.mark.parametrize("step", ["train_text", "train_image", "fit_fusion"])
def test_a_stage_passes_every_parameter_of_its_step(step: str) -> None:
    section = PARAMS[step]

    assert [] == [name for name in section if f"${{{step}.{name}}}" not in STAGES[step]["cmd"]]


def test_dvc_names_only_existing_steps_and_options() -> None:
    for stage in STAGES.values():
        name = stage["cmd"].removeprefix("${step} ").split()[0]
        assert ("--result" in stage["cmd"]) == (name in RESULTS)
        options = {word[2:].replace("-", "_") for word in stage["cmd"].split() if word.startswith("--")}
        options.discard("result")
        assert options <= set(inspect.signature(import_module(f"components.{name}.step").run).parameters)


def test_dvc_depends_on_files_that_exist() -> None:
    made = {out if isinstance(out, str) else next(iter(out)) for stage in STAGES.values() for out in stage["outs"]}
    needed = {dep for stage in STAGES.values() for dep in stage["deps"]}

    assert [] == [path for path in needed - made if not (ROOT / path).exists()]


@pytest.mark.parametrize("step", [name for name, numbers in PARAMS.items() if isinstance(numbers, dict)])
def test_params_are_the_defaults_of_the_steps(step: str) -> None:
    parameters = inspect.signature(import_module(f"components.{step}.step").run).parameters

    assert PARAMS[step] == {name: parameters[name].default for name in PARAMS[step]}


@pytest.mark.parametrize("step", ["train_text", "train_image", "compare"])
def test_the_seed_is_the_default_of_the_steps(step: str) -> None:
    assert PARAMS["seed"] == inspect.signature(import_module(f"components.{step}.step").run).parameters["seed"].default


def test_telemetry_is_off_and_no_remote_is_prescribed() -> None:
    config = (ROOT / ".dvc" / "config").read_text()

    assert "analytics = false" in config
    assert "remote" not in config


def test_the_lock_describes_the_tracked_files(tmp_path: Path) -> None:
    """The outputs are missing in a fresh clone; `dvc repro` has to be run after a change of anything else."""
    clone = Clone(tmp_path / "clone", 80)
    for name in ("dvc.lock", "params.yaml"):
        shutil.copy(ROOT / name, clone.folder / name)
    found = json.loads(clone.dvc("status", "--json"))

    changed = {
        (stage, path)
        for stage, changes in found.items()
        for change in changes
        for path in (change.get("changed deps", {}) if isinstance(change, dict) else {change: ""})
        if not path.startswith("data/")
    }
    assert set() == changed
    assert found.keys() == STAGES.keys()
