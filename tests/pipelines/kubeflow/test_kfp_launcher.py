"""Runs on Kubeflow Pipelines, against a fake of its API."""

from collections.abc import Callable, Iterator, Sequence
from pathlib import Path
from typing import Any

import kfp
import pytest

from pipelines.kubeflow.kfp_launcher import KfpLauncher
from product_classifier.errors import LauncherUnavailable, LaunchRefused
from product_classifier.retraining.launcher import Execution
from tests.support.fake_kfp import FakeKfp, fake_kfp

RUN, SNAPSHOT = "retrain-000001-0123456789ab", "0" * 64
PIPELINE_SPEC = """
components: {}
deploymentSpec: {executors: {}}
pipelineInfo: {name: training}
root:
  dag: {tasks: {}}
  inputDefinitions:
    parameters:
      run_id: {parameterType: STRING}
      snapshot: {parameterType: STRING}
schemaVersion: 2.1.0
sdkVersion: kfp-2.17.0
"""


@pytest.fixture
def api() -> Iterator[FakeKfp]:
    with fake_kfp() as api:
        yield api


@pytest.fixture
def owners() -> dict[str, str]:
    return {}


@pytest.fixture
def launcher(api: FakeKfp, owners: dict[str, str], tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> KfpLauncher:
    monkeypatch.setenv("HOME", str(tmp_path))
    with pytest.warns(FutureWarning, match="only works with"):
        client = kfp.Client(host=api.url, namespace="kubeflow")
    return make_launcher(client, tmp_path, owners)


def make_launcher(
    client: kfp.Client,
    folder: Path,
    owners: dict[str, str],
    pods: Callable[[str], Sequence[dict[str, Any]]] = lambda _: (),
) -> KfpLauncher:
    package = folder / "training.yaml"
    package.write_text(PIPELINE_SPEC)
    return KfpLauncher(
        lambda: client, package, "retraining", lambda run, snap: {"run_id": run, "snapshot": snap}, owners.get, pods
    )


def test_a_run_has_its_id_as_name_and_its_arguments(api: FakeKfp, launcher: KfpLauncher) -> None:
    launcher.start(RUN, SNAPSHOT)

    assert [run["display_name"] for run in api.runs] == [RUN]
    assert api.runs[0]["parameters"] == {"run_id": RUN, "snapshot": SNAPSHOT}
    assert launcher.find(RUN) is Execution.ACTIVE


def test_the_reason_why_a_run_does_not_start_is_that_of_the_pods_of_its_active_executions(
    api: FakeKfp, launcher: KfpLauncher, tmp_path: Path
) -> None:
    message = "0/1 nodes are available: 1 Insufficient memory."
    condition = {"type": "PodScheduled", "status": "False", "message": message}
    pod = {"metadata": {"name": "step"}, "status": {"phase": "Pending", "conditions": [condition]}}
    selectors: list[str] = []

    def pods(selector: str) -> list[dict[str, Any]]:
        selectors.append(selector)
        return [pod]

    for state in ("FAILED", "RUNNING"):
        launcher.start(RUN, SNAPSHOT)
        api.runs[-1]["state"] = state
    with pytest.warns(FutureWarning, match="only works with"):
        watching = make_launcher(kfp.Client(host=api.url, namespace="kubeflow"), tmp_path, {}, pods)

    assert f"step: cannot be scheduled: {message}" == watching.pending_reason(RUN)
    assert ["pipeline/runid=run-1"] == selectors


def test_a_reason_that_cannot_be_read_is_empty(api: FakeKfp, launcher: KfpLauncher) -> None:
    api.fail = 503

    assert "" == launcher.pending_reason(RUN)


@pytest.mark.parametrize(
    ("states", "owner", "expected"),
    [
        ([], None, None),
        (["PENDING"], None, Execution.ACTIVE),
        (["RUNNING"], None, Execution.ACTIVE),
        (["PAUSED"], None, Execution.ACTIVE),
        (["CANCELING"], None, Execution.ACTIVE),
        (["RUNTIME_STATE_UNSPECIFIED"], None, Execution.ACTIVE),
        (["SUCCEEDED"], None, Execution.SUCCEEDED),
        (["FAILED"], None, Execution.FAILED),
        (["CANCELED"], None, Execution.FAILED),
        (["SKIPPED"], None, Execution.FAILED),
        (["SUCCEEDED", "RUNNING"], None, Execution.ACTIVE),
        (["SUCCEEDED", "RUNNING"], "run-0", Execution.SUCCEEDED),
        (["RUNNING", "SUCCEEDED"], "run-0", Execution.ACTIVE),
        (["SUCCEEDED"], "run-of-yesterday", None),
    ],
)
def test_the_state_of_a_run_is_that_of_its_owner_or_of_any_active_execution(
    api: FakeKfp,
    launcher: KfpLauncher,
    owners: dict[str, str],
    states: list[str],
    owner: str | None,
    expected: Execution | None,
) -> None:
    for state in states:
        launcher.start(RUN, SNAPSHOT)
        api.runs[-1]["state"] = state
    owners |= {RUN: owner} if owner else {}

    assert launcher.find(RUN) is expected


def test_a_run_of_another_name_is_not_found(api: FakeKfp, launcher: KfpLauncher) -> None:
    launcher.start("retrain-000002-0123456789ab", SNAPSHOT)

    assert launcher.find(RUN) is None


def test_after_a_lost_response_the_run_is_found(api: FakeKfp, launcher: KfpLauncher) -> None:
    api.lose = 1
    with pytest.raises(LauncherUnavailable):
        launcher.start(RUN, SNAPSHOT)

    assert launcher.find(RUN) is Execution.ACTIVE
    assert len(api.runs) == 1


@pytest.mark.parametrize("status", [401, 403, 404, 409, 429, 500, 502, 503])
def test_an_error_response_makes_the_launcher_unavailable(api: FakeKfp, launcher: KfpLauncher, status: int) -> None:
    api.fail = status
    with pytest.raises(LauncherUnavailable, match=str(status)):
        launcher.start(RUN, SNAPSHOT)
    with pytest.raises(LauncherUnavailable, match=str(status)):
        launcher.find(RUN)


def test_an_unreachable_api_makes_the_launcher_unavailable(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("HOME", str(tmp_path))
    with fake_kfp() as stopped, pytest.warns(FutureWarning, match="only works with"):
        client = kfp.Client(host=stopped.url, namespace="kubeflow")

    with pytest.raises(LauncherUnavailable, match=RUN):
        make_launcher(client, tmp_path, {}).find(RUN)


def test_an_unknown_parameter_is_refused(api: FakeKfp, launcher: KfpLauncher) -> None:
    launcher._arguments = lambda run_id, snapshot: {"season": "winter"}

    with pytest.raises(LaunchRefused, match="season"):
        launcher.start(RUN, SNAPSHOT)


def test_a_run_is_terminated(api: FakeKfp, launcher: KfpLauncher) -> None:
    launcher.start(RUN, SNAPSHOT)
    launcher.stop(RUN)
    launcher.stop(RUN)

    assert api.runs[0]["state"] == "CANCELING"
