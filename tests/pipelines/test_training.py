"""The whole pipeline, compiled and run on a small sample, with everything it leaves behind."""

import json
import os
import re
import shutil
import subprocess
import sys
import time
from contextlib import suppress
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path

import pandas as pd
import psutil
import pytest
from mlflow import MlflowClient

from components.prepare_catalogue import step as prepare_catalogue
from pipelines.retrain.local_launcher import LocalLauncher, train_command
from product_classifier.catalogue.challenge.sample import make_sample
from product_classifier.feedback.records import Correction, ProductContent, new_id
from product_classifier.releases.release import load_fusion, load_image, load_text, open_release
from product_classifier.retraining import RunStore, list_runs
from product_classifier.retraining.settings import RetrainSettings
from product_classifier.retraining.trigger import Trigger
from product_classifier.store import ObjectStore, open_store

ROOT = Path(__file__).parents[2]

pytestmark = [pytest.mark.slow, pytest.mark.timeout(900), pytest.mark.filterwarnings("ignore")]  # MLflow's own


@dataclass(frozen=True)
class Trained:
    """A place where `python -m pipelines train` was run."""

    folder: Path
    output: str

    @property
    def champion(self) -> str:
        return (self.folder / ".run" / "releases" / "champion").read_text().strip()


def settings_of(folder: Path) -> dict[str, str]:
    return {"STATE_DIR": str(folder / ".run"), "DATA_DIR": str(folder / "data"), "NO_COLOR": "1"}


def run_pipelines(folder: Path, *words: str) -> subprocess.CompletedProcess[str]:
    environment = {key: value for key, value in os.environ.items() if not key.startswith(("MLFLOW_", "STORE_"))}
    environment |= settings_of(folder)
    command = [sys.executable, "-m", "pipelines", *words]
    return subprocess.run(command, cwd=ROOT, env=environment, capture_output=True, text=True, check=False, timeout=600)


def train(folder: Path, *words: str) -> subprocess.CompletedProcess[str]:
    return run_pipelines(folder, "train", "--products", "270", *words)


@pytest.fixture(scope="module")
def trained(tmp_path_factory: pytest.TempPathFactory) -> Trained:
    folder = tmp_path_factory.mktemp("trained")
    done = train(folder, "--set", "image_budget_s=2", "--set", "image_size=32")
    assert 0 == done.returncode, done.stderr
    return Trained(folder, done.stdout)


def test_a_training_leaves_no_process(trained: Trained) -> None:
    def left() -> list[str]:
        found = []
        for process in psutil.process_iter():
            with suppress(psutil.Error):
                if process.environ().get("STATE_DIR") == str(trained.folder / ".run"):
                    found.append(" ".join(process.cmdline()))
        return found

    deadline = time.monotonic() + 30
    while left() and time.monotonic() < deadline:
        time.sleep(0.1)

    assert [] == left()


def test_the_output_names_every_step_the_scores_and_the_release(trained: Trained) -> None:
    steps = [
        "start-run",
        "prepare-catalogue",
        "split-catalogue",
        "merge-corrections",
        "train-text",
        "train-image",
        "fit-fusion",
        "find-suspects",
        "evaluate",
        "register",
        "compare",
        "promote",
    ]

    assert all(f"✓ {step} " in trained.output for step in steps)
    assert all(word in trained.output for word in ("weighted F1", "text", "image", "fusion", trained.champion))
    assert "promoted: there is no champion yet" in trained.output


def test_the_champion_can_be_served(trained: Trained) -> None:
    release = open_release(trained.folder / ".run" / "releases" / trained.champion)

    text, _ = load_text(release.path)
    image, _ = load_image(release.path)
    fusion, info = load_fusion(release.path)
    assert text.codes == image.codes == fusion.codes
    assert trained.champion == info.release


def test_the_release_says_where_it_comes_from(trained: Trained) -> None:
    store = open_store(f"file://{trained.folder}/.run/store/product-classifier")
    manifest = json.loads(store.get(f"models/{trained.champion}/release.json"))

    assert 64 == len(manifest["data_revision"])
    assert {"training", "text", "image", "fusion"} == set(manifest["mlflow_runs"])
    assert 0 < manifest["metrics"]["fusion"]["items"]


def test_mlflow_knows_runs_parameters_and_the_champion(trained: Trained) -> None:
    client = MlflowClient(f"sqlite:///{trained.folder}/.run/mlflow.db")
    versions = [
        client.get_model_version_by_alias(name, "champion")
        for name in ("text-predictor", "image-predictor", "fusion-transformer")
    ]
    params = client.get_run(versions[1].run_id).data.params

    assert {trained.champion} == {version.tags["release"] for version in versions}
    assert ("2.0", "27") == (params["budget_s"], params["seed"].removesuffix(".0"))
    assert "report.html" in {file.path for file in client.list_artifacts(versions[2].run_id)}


def test_raw_data_that_cannot_be_used_ends_with_its_reason(tmp_path: Path, trained: Trained) -> None:
    raw = tmp_path / "raw"
    raw.mkdir()
    titles = ["Livre", "", "Jeu", "", "Lampe", ""]
    rows = "".join(f"{row},{title},,{row},{row}\n" for row, title in enumerate(titles))
    (raw / "X_train.csv").write_text(f",designation,description,productid,imageid\n{rows}")
    (raw / "Y_train.csv").write_text(",prdtypecode\n" + "".join(f"{row},10\n" for row in range(len(titles))))

    done = run_pipelines(tmp_path, "train", "--raw", str(raw))

    assert 1 == done.returncode
    *_, reason, last = done.stderr.splitlines()
    assert "prepare_catalogue: 3 of 6 rows (50.0%) cannot be used" in reason
    assert last.startswith("train: prepare_catalogue failed")
    assert "Traceback" not in done.stderr


def test_an_unknown_number_is_refused_before_anything_runs(tmp_path: Path) -> None:
    done = train(tmp_path, "--raw", "s3://nowhere/at-all", "--set", "image_budget=2")

    assert (1, "") == (done.returncode, done.stdout)
    assert done.stderr.startswith("train: the pipeline has no parameter 'image_budget'; use one of ")


GENTLE = {"gate_confidence": "0.5", "gate_min_gain": "0.001", "gate_max_drop": "1.0"}
"""The hold-out of so small a sample is a few dozen products, on which nothing is sure."""


def correct_everything(store: ObjectStore, folder: Path) -> int:
    """Let a reviewer say what a larger sample of the same seed knows; return how many corrections that is."""
    make_sample(folder / "larger", 1500, seed=7)
    catalogue, *others = (folder / name for name in ("catalogue.parquet", "rejects.csv", "catalogue.json"))
    prepare_catalogue.run(folder / "larger", catalogue, *others)
    products = pd.read_parquet(catalogue)
    for row, product in enumerate(products.itertuples()):
        if not product.designation:
            continue
        content = ProductContent(designation=str(product.designation), description=str(product.description))
        correction = Correction(
            feedback_id=new_id(), created=datetime.now(UTC), user="rita", role="reviewer", product=content,
            code=int(products["code"][row]),
        )  # fmt: skip
        store.put(correction.key, correction.to_json(), only_if_absent=True)
    return len(products)


def test_corrections_lead_to_a_better_release_that_can_be_rolled_back(tmp_path: Path, trained: Trained) -> None:
    shutil.copytree(trained.folder, tmp_path, dirs_exist_ok=True, symlinks=True)
    state, before = tmp_path / ".run", trained.champion
    store = open_store(f"file://{state}/store/product-classifier")
    assert 1000 < correct_everything(store, tmp_path)
    environment = settings_of(tmp_path)
    changes = {"image_size": "32", **GENTLE}

    def command(run_id: str, snapshot: str) -> list[str]:
        words = [f"--set={name}={value}" for name, value in changes.items()]
        return ["env", *(f"{k}={v}" for k, v in environment.items()), *train_command(run_id, snapshot), *words]

    launcher = LocalLauncher(state / "runs", command)
    settings = RetrainSettings.model_validate({"min_corrections": 1000})
    trigger, run_store = Trigger(store, launcher, settings), RunStore(store)
    end = time.monotonic() + 600
    while not run_store.is_finished(1) and time.monotonic() < end:
        trigger.reconcile()
        time.sleep(0.1)

    (view,) = list_runs(run_store)
    log = "".join(path.read_text() for path in state.glob("runs/*/log"))
    assert ("succeeded", "threshold") == (view.state, view.cause), log
    assert view.verdict
    assert (True, before) == (view.verdict.promoted, view.verdict.champion), view.verdict.reasons
    after = (state / "releases" / "champion").read_text().strip()
    assert after == view.verdict.release != before
    scores = view.verdict.metrics
    assert scores["before"]["weighted_f1"] < scores["after"]["weighted_f1"]
    assert "By category" in store.get(f"reports/promotions/{after}.html").decode()
    assert "waiting" == trigger.reconcile().step

    outputs = [run_pipelines(tmp_path, word).stdout for word in ("rollback", "releases")]

    assert f"{before} is deployed instead of {after}" in outputs[0]
    assert before == (state / "releases" / "champion").read_text().strip()
    assert re.search(rf"{before} .* 0 +champion", outputs[1])
    assert re.search(rf"{after} .* \d{{3,4}} +former champion", outputs[1])
    alias = MlflowClient(f"sqlite:///{state}/mlflow.db").get_model_version_by_alias("fusion-transformer", "champion")
    assert before == alias.tags["release"]
