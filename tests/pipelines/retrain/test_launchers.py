from pathlib import Path

import pytest

from pipelines.retrain.launchers import make_launcher
from pipelines.retrain.local_launcher import LocalLauncher
from pipelines.retrain.settings import TriggerSettings
from pipelines.settings import PipelineSettings
from tests.support.fake_kfp import fake_kfp
from tests.support.fakes import FakeStore

RUN, SNAPSHOT = "retrain-000001-0123456789ab", "0" * 64


def test_runs_are_started_on_this_machine_by_default(tmp_path: Path) -> None:
    launcher = make_launcher(TriggerSettings(), PipelineSettings(state_dir=tmp_path), FakeStore())

    assert isinstance(launcher, LocalLauncher)


def test_a_run_on_kubeflow_has_all_required_parameters_of_the_training(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("HOME", str(tmp_path))
    settings = TriggerSettings.model_validate({"launcher": "kfp", "package": tmp_path / "training.yaml"})
    with fake_kfp() as api:
        pipeline = PipelineSettings.model_validate(
            {"KF_PIPELINES_ENDPOINT": api.url, "STORE_URL": "s3://products", "ROLLOUT_URL": "kserve://products"}
        )
        with pytest.warns(FutureWarning, match="only works with"):
            make_launcher(settings, pipeline, FakeStore()).start(RUN, SNAPSHOT)

    (run,) = api.runs
    expected = (RUN, SNAPSHOT, "s3://products/raw", "s3://products", "kserve://products")
    assert expected == tuple(run["parameters"][name] for name in ("run_id", "snapshot", "raw", "store", "rollout"))
