"""`make monitor`: the monitoring pipeline as it is compiled, run on this machine and scheduled."""

import json
import re
from pathlib import Path
from typing import Any

import pytest
import yaml

from pipelines.__main__ import main
from pipelines.kubeflow.schedule import RecurringRun, create_schedule
from pipelines.monitor_command import monitoring_arguments
from pipelines.monitoring import MONITORING, compile_monitoring
from pipelines.settings import MonitorSettings, PipelineSettings
from product_classifier.monitoring.drift_windows import DriftWindow
from tests.pipelines.test_compile import MONITORING_STEPS
from tests.support.fake_kfp_client import FakeClient

EVERY_HOUR = "0 0 * * * *"


@pytest.fixture(scope="module")
def package(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return compile_monitoring(tmp_path_factory.mktemp("build") / "monitoring.yaml")


@pytest.fixture(scope="module")
def documents(package: Path) -> list[Any]:
    return list(yaml.safe_load_all(package.read_text(encoding="utf-8")))


def test_its_tasks_are_the_steps_of_monitoring_in_their_order(documents: list[Any]) -> None:
    tasks = documents[0]["root"]["dag"]["tasks"]

    assert MONITORING_STEPS == {name.replace("-", "_") for name in tasks}
    assert ["compact-log"] == tasks["measure-drift"]["dependentTasks"]
    assert ["measure-drift"] == tasks["act-on-drift"]["dependentTasks"]


def test_every_task_runs_in_the_trainer_image_with_a_time_limit(documents: list[Any]) -> None:
    containers = [one["container"]["image"] for one in documents[0]["deploymentSpec"]["executors"].values()]
    configured = documents[1]["platforms"]["kubernetes"]["deploymentSpec"]["executors"].values()

    assert ["product-classifier/trainer:dev"] * len(MONITORING_STEPS) == containers
    assert len(MONITORING_STEPS) == len([one for one in configured if one["activeDeadlineSeconds"]])


def test_the_package_names_nothing_of_this_machine(package: Path) -> None:
    assert not re.search(r"https?://|/home/|/root|/tmp|127\.0\.0\.1|localhost|sqlite:|\.run/", package.read_text())


def test_a_recurring_run_has_the_settings_of_the_command(package: Path) -> None:
    client = FakeClient()
    settings = PipelineSettings.model_validate({"STORE_URL": "s3://products"})
    monitor = MonitorSettings.model_validate({"policy": "notify", "retention_days": 90})

    create_schedule(
        client, package, monitoring_arguments(settings, monitor), EVERY_HOUR, "products", RecurringRun(MONITORING)
    )

    [created] = client.recurring
    params = created["params"]
    assert ("s3://products", "notify", 90) == tuple(params[name] for name in ("store", "policy", "retention_days"))
    assert MONITORING in created["name"]


@pytest.mark.slow
def test_the_command_succeeds_and_writes_the_report_although_there_is_no_prediction(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setenv("STATE_DIR", str(tmp_path))

    status = main(["monitor"])

    reports = tmp_path / "store/product-classifier/reports/drift"
    window = DriftWindow.model_validate(json.loads((reports / "latest.json").read_text(encoding="utf-8")))
    printed = capsys.readouterr().out
    assert 0 == status, printed
    assert ("too_few", 0) == (window.verdict, window.products)
    assert "verdict   too few: no prediction in the window" in printed
    assert (reports / f"{window.window_id}.html").is_file()
