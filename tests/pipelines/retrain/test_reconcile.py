import inspect
import tempfile
from pathlib import Path

import pytest
import yaml

from pipelines.kubeflow.schedule import reconcile_arguments
from pipelines.retrain.reconcile import compile_reconcile, reconcile_once
from pipelines.settings import PipelineSettings
from product_classifier.retraining.settings import RetrainSettings


def test_the_step_runs_the_trigger_once(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capfd: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setattr(tempfile, "tempdir", str(tmp_path))
    monkeypatch.setenv("_KFP_RUNTIME", "true")  # as in a step
    (tmp_path / "training.yaml").touch()  # compiling it takes seconds
    unreachable = PipelineSettings.model_validate(
        {"STORE_URL": (tmp_path / "store").as_uri(), "KF_PIPELINES_ENDPOINT": "http://[::1]:1"}
    )
    (tmp_path / "store").mkdir()

    reconcile_once.python_func(**reconcile_arguments(unreachable, RetrainSettings()))

    assert "step=waiting" in capfd.readouterr().err


def test_defaults_of_the_pipeline_are_those_of_the_settings(tmp_path: Path) -> None:
    document = next(yaml.safe_load_all(compile_reconcile(tmp_path / "reconcile.yaml").read_text()))
    declared = document["root"]["inputDefinitions"]["parameters"]
    arguments = reconcile_arguments(PipelineSettings.model_construct(), RetrainSettings.model_construct())

    found = {name: spec["defaultValue"] for name, spec in declared.items() if "defaultValue" in spec}
    assert {"namespace", "experiment", "min_corrections", "cooldown_s"} == found.keys()
    assert {name: arguments[name] for name in found} == found


def test_the_schedule_gives_every_parameter() -> None:
    arguments = reconcile_arguments(PipelineSettings(), RetrainSettings())

    assert inspect.signature(reconcile_once.python_func).parameters.keys() == arguments.keys()
