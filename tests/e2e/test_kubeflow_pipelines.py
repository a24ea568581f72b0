"""Tests of undocumented behavior of a real Kubeflow Pipelines that the trigger relies on."""

import json
import os
import subprocess
import sys
import uuid
from collections.abc import Callable, Iterator, Mapping
from pathlib import Path
from typing import Any

import pytest
from kfp import compiler, dsl

from pipelines.kubeflow.kfp_launcher import KfpLauncher
from pipelines.kubeflow.submit import connect, upload
from pipelines.task_configuration import RECONCILE_RESOURCES, Resources, configure_task
from product_classifier.errors import LauncherUnavailable, LaunchRefused
from product_classifier.retraining.launcher import Execution
from tests.e2e.cluster import STORE, kubectl, until
from tests.e2e.kubeflow import ENDPOINT, NAMESPACE, attempts, trigger_environment

pytestmark = [
    pytest.mark.cluster,
    pytest.mark.timeout(600),
    pytest.mark.filterwarnings("ignore:This client only works", "ignore:.*executor_input.*"),
]
EXPERIMENT = "end-to-end"
SNAPSHOT = "0" * 64


def work(run_id: str, snapshot: str, seconds: int, failures: int) -> str:
    """Sleep, then fail as long as the retry index is below `failures`."""
    import os
    import time

    time.sleep(seconds)
    if int(os.environ["KFP_RETRY_INDEX"]) < failures:
        raise RuntimeError("not yet")
    return run_id


@pytest.fixture(scope="module")
def package(image: str, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A pipeline of one step with the resources of a cached step of the training."""
    step = dsl.component(work, base_image=image, install_kfp_package=False)

    @dsl.pipeline(name="end-to-end")
    def patient(run_id: str, snapshot: str, seconds: int = 1, failures: int = 0) -> None:
        task = step(run_id=run_id, snapshot=snapshot, seconds=seconds, failures=failures)
        configure_task(task, RECONCILE_RESOURCES, cached=True)

    path = tmp_path_factory.mktemp("package") / "patient.yaml"
    compiler.Compiler().compile(patient, str(path))
    return path


@pytest.fixture
def run_id() -> str:
    return f"retrain-000001-{uuid.uuid4().hex[:12]}"


@pytest.fixture
def owners() -> dict[str, str]:
    return {}


@pytest.fixture
def launch(api: str, package: Path, owners: dict[str, str]) -> Iterator[Callable[..., KfpLauncher]]:
    """Create launchers with separate connections, as two triggers have them."""
    started: list[tuple[KfpLauncher, str]] = []

    def make(**numbers: Any) -> KfpLauncher:
        def arguments(run_id: str, snapshot: str) -> Mapping[str, Any]:
            started.append((launcher, run_id))
            return {"run_id": run_id, "snapshot": snapshot, **numbers}

        launcher = KfpLauncher(lambda: connect(api, "kubeflow"), package, EXPERIMENT, arguments, owners.get)
        return launcher

    yield make
    for launcher, name in started:
        launcher.stop(name)


def ends(launcher: KfpLauncher, run_id: str, seconds: float = 300) -> Execution | None:
    """Wait for the end of a run, ignoring outages of the API."""

    def is_over() -> bool:
        try:
            return launcher.find(run_id) is not Execution.ACTIVE
        except LauncherUnavailable:
            return False

    until(is_over, seconds, f"the end of {run_id}")
    return launcher.find(run_id)


def test_a_run_that_was_not_started_is_not_found(launch: Callable[..., KfpLauncher], run_id: str) -> None:
    assert launch().find(run_id) is None


def test_a_run_is_found_at_once_by_any_trigger_and_retries_a_failing_step(
    launch: Callable[..., KfpLauncher], run_id: str
) -> None:
    launch(failures=1).start(run_id, SNAPSHOT)
    other = launch()

    assert other.find(run_id) is Execution.ACTIVE
    assert ends(other, run_id) is Execution.SUCCEEDED


def test_a_run_that_is_stopped_has_failed(launch: Callable[..., KfpLauncher], run_id: str) -> None:
    launcher = launch(seconds=600)
    launcher.start(run_id, SNAPSHOT)
    launcher.stop(run_id)
    launcher.stop(run_id)

    assert ends(launcher, run_id) is Execution.FAILED


def test_of_two_executions_the_one_that_acquired_the_run_counts(
    launch: Callable[..., KfpLauncher], owners: dict[str, str], client: Any, run_id: str
) -> None:
    quick, slow = launch(seconds=0), launch(seconds=600)
    quick.start(run_id, SNAPSHOT)
    assert ends(quick, run_id) is Execution.SUCCEEDED
    (first,) = executions(client, run_id)
    slow.start(run_id, SNAPSHOT)

    assert slow.find(run_id) is Execution.ACTIVE  # neither has acquired it, so the active one may still do so
    owners[run_id] = first
    assert slow.find(run_id) is Execution.SUCCEEDED


def test_unknown_parameters_are_rejected_by_the_api(
    launch: Callable[..., KfpLauncher], client: Any, package: Path
) -> None:
    import kfp_server_api

    experiment = client.create_experiment(EXPERIMENT).experiment_id
    with pytest.raises(kfp_server_api.ApiException) as error_info:
        client.run_pipeline(experiment, "wrong", pipeline_package_path=str(package), params={"season": "winter"})
    with pytest.raises(LaunchRefused, match="season"):
        launch(season="winter").start("wrong", SNAPSHOT)

    assert 400 == error_info.value.status


def test_a_run_continues_after_a_restart_of_the_api(
    launch: Callable[..., KfpLauncher], client: Any, run_id: str
) -> None:
    launcher = launch(seconds=20)
    launcher.start(run_id, SNAPSHOT)
    kubectl("delete", "pod", "--selector", "app=ml-pipeline", "--wait=false", namespace=NAMESPACE)

    assert ends(launcher, run_id) is Execution.SUCCEEDED
    assert 1 == len(executions(client, run_id))


def test_the_same_package_is_one_version_of_its_pipeline(client: Any, package: Path) -> None:
    name = f"end-to-end-{uuid.uuid4().hex[:8]}"

    first, again = upload(client, package, name), upload(client, package, name)

    assert first == again


def test_a_recurring_run_reconciles(client: Any, api: str, image: str) -> None:
    known = trigger_environment()
    given = {
        "TRAINER_IMAGE": image,
        "STORE_URL": STORE,
        "RAW_URL": f"{STORE}/raw",
        "MLFLOW_TRACKING_URI": known["MLFLOW_TRACKING_URI"],
        "MLFLOW_EXPERIMENT_NAME": EXPERIMENT,
        "ROLLOUT_URL": known["ROLLOUT_URL"],
        "KF_PIPELINES_ENDPOINT": ENDPOINT,
        "RETRAIN_MIN_CORRECTIONS": "1000000",
    }
    command = [sys.executable, "-m", "pipelines", "schedule", "--host", api, "--cron", "*/10 * * * * *"]
    done = subprocess.run(command, env=os.environ | given, check=True, capture_output=True, text=True)
    recurring = json.loads(done.stdout.splitlines()[-1])["recurring_run_id"]  # the client of kfp prints other lines
    try:  # deleting the recurring run would delete its runs
        until(lambda: runs_of_recurring(client, recurring), 60, "a recurring run")
        ended = client.wait_for_run_completion(runs_of_recurring(client, recurring)[0].run_id, 300)
    finally:
        client.delete_recurring_run(recurring)

    assert "SUCCEEDED" == ended.state


def test_a_step_whose_image_is_missing_fails_its_run_at_the_timeout_without_retries(
    client: Any, tmp_path: Path
) -> None:
    step = dsl.component(work, base_image="product-classifier/trainer:never-built", install_kfp_package=False)

    @dsl.pipeline(name="end-to-end-missing-image")
    def missing() -> None:
        configure_task(step(run_id="", snapshot="", seconds=1, failures=0), Resources("1", "1Gi", 1))

    compiler.Compiler().compile(missing, str(tmp_path / "missing.yaml"))
    experiment = client.create_experiment(EXPERIMENT).experiment_id
    run = client.run_pipeline(experiment, "missing", pipeline_package_path=str(tmp_path / "missing.yaml")).run_id

    assert "FAILED" == client.wait_for_run_completion(run, 240).state
    assert ["Failed"] == attempts(run)


def executions(client: Any, run_id: str) -> list[str]:
    return [
        run.run_id
        for run in client.list_runs(page_size=100, sort_by="created_at desc").runs
        if run.display_name == run_id
    ]


def runs_of_recurring(client: Any, recurring: str) -> list[Any]:
    listed = client.list_runs(page_size=100, sort_by="created_at desc").runs or []
    return [run for run in listed if run.recurring_run_id == recurring]
