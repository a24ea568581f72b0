"""Commands about releases run as Jobs of the deployed trainer, against a fake cluster."""

import copy
import json
from collections.abc import Sequence
from typing import Any

import pytest

from operations.cluster import __main__ as command_line
from operations.cluster import release_jobs
from operations.cluster.command_runner import CommandFailed
from operations.cluster.release_jobs import run_release_command
from operations.cluster.secrets import NAMESPACE
from tests.support.fake_cluster import FakeCluster

CONTAINER = {
    "name": "training",
    "args": ["pipelines", "train", "--raw", "s3://raw"],
    "env": [{"name": "MLFLOW_TRACKING_URI", "value": "http://mlflow:5000"}],
    "resources": {"requests": {"cpu": "500m", "memory": "1Gi", "ephemeral-storage": "1Gi"}},
}
JOB = {
    "kind": "Job",
    "metadata": {"name": "rollback-1", "namespace": NAMESPACE},
    "spec": {"template": {"spec": {"containers": [CONTAINER]}}},
}
NOT_SCHEDULED = {"type": "PodScheduled", "status": "False", "message": "0/1 nodes are available"}


class JobCluster(FakeCluster):
    """A cluster that ends each Job at once with a condition and an output."""

    def __init__(self, condition: str = "Complete", output: str = "done") -> None:
        super().__init__()
        self.outputs["kubectl create job"] = json.dumps(JOB)
        self.outputs["kubectl logs"] = output
        self.condition = condition
        self.created: list[dict[str, Any]] = []
        self.pods: list[dict[str, Any]] = []

    def run(self, command: Sequence[str], *, stdin: str | None = None) -> str:
        if stdin is not None:
            self.created.append(json.loads(stdin))
        return super().run(command, stdin=stdin)

    def get(self, *arguments: str) -> dict[str, Any] | None:
        if arguments[0] == "pods":
            return {"items": self.pods}
        conditions = [{"type": self.condition, "status": "True"}] if self.condition else []
        return copy.deepcopy(JOB) | {"status": {"conditions": conditions}}

    def deleted(self) -> list[list[str]]:
        return [command[2:4] for command in self.commands if command[:2] == ["kubectl", "delete"]]


def arguments_of(cluster: JobCluster) -> list[str]:
    (job,) = cluster.created
    (container,) = job["spec"]["template"]["spec"]["containers"]
    args: list[str] = container["args"]
    return args


def test_a_command_runs_once_with_the_environment_of_the_deployment() -> None:
    cluster = JobCluster()

    assert "done" == run_release_command(cluster, ["rollback", "r-1"], 60)
    (job,) = cluster.created
    (container,) = job["spec"]["template"]["spec"]["containers"]
    assert ["pipelines", "rollback", "r-1"] == container["args"]
    assert CONTAINER["env"][0] in container["env"]
    assert (0, 60) == (job["spec"]["backoffLimit"], job["spec"]["activeDeadlineSeconds"])
    assert ("512Mi", "1Gi") == tuple(container["resources"]["requests"][one] for one in ("memory", "ephemeral-storage"))
    assert 1 == len(cluster.deleted())


def test_a_command_that_fails_says_what_was_done_and_the_command_for_the_rest() -> None:
    said = "rollback: r-1 is deployed; only the alias did not move; then run `python -m pipelines rollback r-1` again"
    cluster = JobCluster("Failed", said)

    with pytest.raises(CommandFailed, match=r"^r-1 is deployed.* `python -m operations\.cluster rollback r-1` again"):
        run_release_command(cluster, ["rollback"], 60)

    assert 1 == len(cluster.created) == len(cluster.deleted())


def test_a_job_whose_pod_does_not_start_says_why_and_is_deleted() -> None:
    cluster = JobCluster(condition="")
    status = {"phase": "Pending", "conditions": [NOT_SCHEDULED]}
    cluster.pods = [{"metadata": {"name": "p"}, "status": status}]

    with pytest.raises(CommandFailed, match="did not end within 0 s: p: cannot be scheduled: 0/1 nodes are available"):
        run_release_command(cluster, ["releases"], 0)

    assert any("waits: p: cannot be scheduled" in line for line in cluster.reported)
    assert 1 == len(cluster.deleted())


@pytest.mark.parametrize(
    ("given", "expected"),
    [
        (["releases"], ["releases"]),
        (["rollback"], ["rollback"]),
        (["rollback", "r-1"], ["rollback", "r-1"]),
        (["register", "r-1"], ["register", "r-1"]),
        (["canary", "r-1"], ["canary", "r-1", "--share=0.1"]),
        (["canary", "r-1", "25"], ["canary", "r-1", "--share=0.25"]),
        (["canary", "r-1", "0.5"], ["canary", "r-1", "--share=0.005"]),
        (["canary", "r-1", "100", "--shadow"], ["canary", "r-1", "--share=1", "--shadow"]),
        (["canary", "--stop"], ["canary", "--stop"]),
    ],
)
def test_each_command_has_one_line(given: list[str], expected: list[str], monkeypatch: pytest.MonkeyPatch) -> None:
    cluster = JobCluster()
    monkeypatch.setattr(command_line, "CommandRunner", lambda _: cluster)

    assert 0 == command_line.main(given)
    assert ["pipelines", *expected] == arguments_of(cluster)
    assert ["done"] == cluster.reported


@pytest.mark.parametrize("percent", ["0", "-1", "101", "nan", "x"])
def test_a_percentage_out_of_range_starts_nothing(percent: str, capsys: pytest.CaptureFixture[str]) -> None:
    with pytest.raises(SystemExit):
        command_line.main(["canary", "r-1", percent])

    assert percent in capsys.readouterr().err


def test_a_canary_without_a_release_starts_nothing(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    cluster = JobCluster()
    monkeypatch.setattr(command_line, "CommandRunner", lambda _: cluster)

    assert 1 == command_line.main(["canary"])
    assert [] == cluster.created
    assert "neither a release nor --stop is given" in capsys.readouterr().err


def test_the_commands_are_those_of_pipelines() -> None:
    from pipelines.__main__ import COMMANDS

    assert {"releases", "rollback", "canary", "register"} <= COMMANDS.keys() & command_line.COMMANDS.keys()
    assert release_jobs.COMMAND_IN_JOB == "python -m pipelines"
