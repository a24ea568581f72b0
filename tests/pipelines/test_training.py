"""The whole pipeline, compiled and run on a small sample, with everything it leaves behind."""

import json
import os
import subprocess
import sys
from dataclasses import dataclass
from pathlib import Path

import pytest
from mlflow import MlflowClient

from product_classifier.release import load_fusion, load_image, load_text, open_release
from product_classifier.store import open_store

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


def train(folder: Path, *words: str) -> subprocess.CompletedProcess[str]:
    environment = {key: value for key, value in os.environ.items() if not key.startswith(("MLFLOW_", "STORE_"))}
    environment |= {"STATE_DIR": str(folder / ".run"), "DATA_DIR": str(folder / "data"), "NO_COLOR": "1"}
    command = [sys.executable, "-m", "pipelines", "train", "--products", "270", *words]
    return subprocess.run(command, cwd=ROOT, env=environment, capture_output=True, text=True, check=False, timeout=600)


@pytest.fixture(scope="module")
def trained(tmp_path_factory: pytest.TempPathFactory) -> Trained:
    folder = tmp_path_factory.mktemp("trained")
    done = train(folder, "--set", "image_budget_s=2", "--set", "image_epochs=2")
    assert 0 == done.returncode, done.stderr
    return Trained(folder, done.stdout)


def test_a_person_sees_every_step_the_scores_and_the_release(trained: Trained) -> None:
    steps = [
        "merge-corrections",
        "prepare-catalogue",
        "split-catalogue",
        "train-text",
        "train-image",
        "fit-fusion",
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


def test_raw_data_that_cannot_be_used_ends_in_one_line(tmp_path: Path, trained: Trained) -> None:
    raw = tmp_path / "raw"
    raw.mkdir()
    titles = ["Livre", "", "Jeu", "", "Lampe", ""]
    rows = "".join(f"{row},{title},,{row},{row}\n" for row, title in enumerate(titles))
    (raw / "X_train.csv").write_text(f",designation,description,productid,imageid\n{rows}")
    (raw / "Y_train.csv").write_text(",prdtypecode\n" + "".join(f"{row},10\n" for row in range(len(titles))))

    done = train(tmp_path, "--raw", str(raw))

    assert 1 == done.returncode
    (line,) = [line for line in done.stderr.splitlines() if line]
    assert "prepare-catalogue" in line
    assert "CatalogueError: " in line
    assert "✗ prepare-catalogue" in done.stdout


def test_an_unknown_number_is_refused_before_anything_runs(tmp_path: Path) -> None:
    done = train(tmp_path, "--raw", "s3://nowhere/at-all", "--set", "image_budget=2")

    assert (1, "") == (done.returncode, done.stdout)
    assert done.stderr.startswith("train: the pipeline has no parameter 'image_budget'; it has ")
