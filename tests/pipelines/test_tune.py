"""`make tune`: trials, their runs in MLflow, and the proposal."""

from pathlib import Path

import numpy as np
import pytest
import yaml
from mlflow import MlflowClient

from pipelines.__main__ import main
from pipelines.settings import PARAMS
from pipelines.tune import Search, Trial, proposal, search
from product_classifier.errors import CatalogueError

pytestmark = pytest.mark.filterwarnings("ignore")  # MLflow's own

ROOT = Path(__file__).parents[2]


@pytest.fixture
def data(splits_dir: Path, tmp_path: Path) -> Path:
    """A data folder as `make data` leaves it."""
    folder = tmp_path / "data"
    folder.mkdir()
    (folder / "splits").symlink_to(splits_dir)
    (folder / "raw").symlink_to(splits_dir)
    return folder


def scored(c: float, *folds: float) -> Trial:
    return Trial({"C": c, "buckets": 262144}, np.array(folds))


@pytest.mark.parametrize(
    ("best", "proposed"),
    [
        (scored(0.5, 0.62, 0.72, 0.83), {"C": 0.5}),
        (scored(0.5, 0.90, 0.60, 0.75), {}),
        (scored(0.5, 0.50, 0.60, 0.70), {}),
    ],
    ids=["better on every fold", "better by less than a standard error", "worse"],
)
def test_only_a_gain_above_its_standard_error_is_proposed(best: Trial, proposed: dict[str, float]) -> None:
    assert proposed == Search("text", (scored(1.0, 0.6, 0.7, 0.8), best)).proposed


def test_a_proposal_changes_the_proposed_values_only() -> None:
    found = Search("text", (scored(1.0, 0.6, 0.7), scored(0.5, 0.7, 0.8)))
    before = (ROOT / PARAMS).read_text()

    after = proposal(before, [found])
    assert yaml.safe_load(before) | {"train_text": yaml.safe_load(before)["train_text"] | {"C": 0.5}} == yaml.safe_load(
        after
    )
    changed = [pair for pair in zip(before.splitlines(), after.splitlines(), strict=True) if pair[0] != pair[1]]
    assert [("  C: 1.0", "  C: 0.5")] == changed


def test_the_first_trial_has_the_parameters_of_the_file_even_outside_of_the_search_space(
    data: Path, tmp_path: Path
) -> None:
    params = tmp_path / "params.yaml"
    params.write_text("train_text: {buckets: 4096, C: 100.0}\n")
    logged: list[str] = []

    found = search("text", data, params, 3, lambda name, _: logged.append(name))
    assert {"buckets": 4096, "C": 100.0} == found.trials[0].params
    assert ["text-0", "text-1", "text-2"] == logged
    assert all(0 < one.mean <= 1 and one.standard_error >= 0 and len(one.folds) == 5 for one in found.trials)
    assert found.best.mean == max(one.mean for one in found.trials)


@pytest.mark.slow
def test_the_command_writes_nested_runs_and_a_proposal_that_it_does_not_replace(
    data: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.chdir(tmp_path)
    Path("params.yaml").write_text("train_text:\n  buckets: 4096\n  C: 0.001\n")
    uri = f"sqlite:///{tmp_path}/mlflow.db"
    monkeypatch.setenv("MLFLOW_TRACKING_URI", uri)
    command = ["tune", "--trials", "2", "--model", "text", "--data", str(data)]

    assert 0 == main(command)
    assert "train_text" in yaml.safe_load(Path("params.proposed.yaml").read_text())
    assert "buckets: 4096" in Path("params.yaml").read_text()
    client = MlflowClient(uri)
    experiment = client.get_experiment_by_name("product-classifier")
    runs = {run.info.run_name: run for run in client.search_runs([experiment.experiment_id])}
    (parent,) = (name for name in runs if name.startswith("tune-"))
    assert {parent, "text-0", "text-1"} == set(runs)
    assert runs[parent].info.run_id == runs["text-1"].data.tags["mlflow.parentRunId"]
    assert {"weighted_f1", "weighted_f1_standard_error"} <= runs["text-0"].data.metrics.keys()
    assert "0.001" == runs["text-0"].data.params["C"]

    assert 1 == main(command)
    assert "params.proposed.yaml" in capsys.readouterr().err


def test_too_few_products_are_refused(data: Path, tmp_path: Path) -> None:
    import pandas as pd

    for split in ("train", "validation"):
        (tmp_path / "few" / "splits").mkdir(parents=True, exist_ok=True)
        pd.read_parquet(data / "splits" / f"{split}.parquet").head(1).to_parquet(
            tmp_path / "few" / "splits" / f"{split}.parquet"
        )
    with pytest.raises(CatalogueError):
        search("text", tmp_path / "few", tmp_path / "params.yaml", 2, lambda *_: None)
