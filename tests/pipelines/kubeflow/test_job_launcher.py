"""Runs as Kubernetes Jobs, against a fake of the API."""

import json
from collections.abc import Iterator

import pytest

from components.shared.kubernetes_api import ClusterApi
from pipelines.kubeflow.job_launcher import JobLauncher
from product_classifier.errors import LauncherUnavailable, LaunchRefused
from product_classifier.retraining.launcher import Execution
from tests.support.fake_kubernetes import FakeKubernetes, fake_kubernetes

RUN, SNAPSHOT = "retrain-000001-0123456789ab", "0" * 64
CONTAINER = {"name": "train", "image": "trainer", "args": ["pipelines", "train", "--raw", "s3://shop/raw"]}
TEMPLATE = {"metadata": {"labels": {"app": "x"}}, "spec": {"template": {"spec": {"containers": [CONTAINER]}}}}


@pytest.fixture
def cluster() -> Iterator[FakeKubernetes]:
    with fake_kubernetes() as cluster:
        cluster.add("cronjobs", "training", spec={"suspend": True, "jobTemplate": TEMPLATE})
        yield cluster


def launcher(cluster: FakeKubernetes) -> JobLauncher:
    return JobLauncher(lambda: ClusterApi("shop", cluster.client()))


def test_a_run_is_a_job_with_its_name_created_from_the_template(cluster: FakeKubernetes) -> None:
    before = launcher(cluster).find(RUN)

    launcher(cluster).start(RUN, SNAPSHOT)

    job = cluster.objects["jobs", RUN]
    (container,) = job["spec"]["template"]["spec"]["containers"]
    options = ["--set", f"run_id={json.dumps(RUN)}", "--set", f"snapshot={json.dumps(SNAPSHOT)}"]
    assert (None, Execution.ACTIVE) == (before, launcher(cluster).find(RUN))
    assert ([*CONTAINER["args"], *options], "trainer") == (container["args"], container["image"])
    assert {"app": "x"} == job["metadata"]["labels"]


def test_a_job_that_trains_nothing_replaces_the_arguments_of_the_template(cluster: FakeKubernetes) -> None:
    api = ClusterApi("shop", cluster.client())
    actions = JobLauncher(
        lambda: api, arguments=lambda action, _: ["pipelines", action], prefix="release-", trains=False
    )
    actions.start("a1", "")

    (container,) = cluster.objects["jobs", "release-a1"]["spec"]["template"]["spec"]["containers"]
    assert ["pipelines", "a1"] == container["args"]
    assert {"requests": {"cpu": "50m", "memory": "512Mi"}} == container["resources"]
    assert Execution.ACTIVE is actions.find("a1")


def test_a_run_started_several_times_is_one_job(cluster: FakeKubernetes) -> None:
    for _ in range(3):
        launcher(cluster).start(RUN, SNAPSHOT)

    assert [("jobs", RUN)] == [key for key in cluster.objects if key[0] == "jobs"]


@pytest.mark.parametrize(
    ("conditions", "expected"),
    [
        ([], Execution.ACTIVE),
        ([("Suspended", "False")], Execution.ACTIVE),
        ([("FailureTarget", "True")], Execution.ACTIVE),
        ([("SuccessCriteriaMet", "True"), ("Complete", "True")], Execution.SUCCEEDED),
        ([("FailureTarget", "True"), ("Failed", "True")], Execution.FAILED),
        ([("Failed", "False")], Execution.ACTIVE),
    ],
)
def test_the_state_of_a_run_follows_from_the_conditions_of_its_job(
    cluster: FakeKubernetes, conditions: list[tuple[str, str]], expected: Execution
) -> None:
    launcher(cluster).start(RUN, SNAPSHOT)
    cluster.objects["jobs", RUN]["status"] = {"conditions": [{"type": a, "status": b} for a, b in conditions]}

    assert launcher(cluster).find(RUN) is expected


def test_stopping_sets_a_deadline_for_an_active_job_only(cluster: FakeKubernetes) -> None:
    launcher(cluster).start(RUN, SNAPSHOT)
    launcher(cluster).stop(RUN)
    stopped = cluster.objects["jobs", RUN]["spec"].pop("activeDeadlineSeconds")
    cluster.objects["jobs", RUN]["status"] = {"conditions": [{"type": "Complete", "status": "True"}]}
    launcher(cluster).stop(RUN)

    assert (1, False) == (stopped, "activeDeadlineSeconds" in cluster.objects["jobs", RUN]["spec"])


IMAGE = {"waiting": {"reason": "ErrImagePull", "message": 'rpc error: image "trainer:x" not found'}}
NOT_SCHEDULED = {"type": "PodScheduled", "status": "False", "message": "0/1 nodes are available: Insufficient memory."}
UNSCHEDULABLE = {"phase": "Pending", "conditions": [NOT_SCHEDULED]}


@pytest.mark.parametrize(
    ("status", "expected"),
    [
        (UNSCHEDULABLE, "p: cannot be scheduled: 0/1 nodes are available: Insufficient memory."),
        (
            {"phase": "Pending", "containerStatuses": [{"name": "training", "state": IMAGE}]},
            'p: training: ErrImagePull rpc error: image "trainer:x" not found',
        ),
        (
            {"phase": "Pending", "initContainerStatuses": [{"name": "unpack", "state": IMAGE}]},
            'p: unpack: ErrImagePull rpc error: image "trainer:x" not found',
        ),
        (
            {
                "phase": "Pending",
                "containerStatuses": [{"name": "t", "state": {"waiting": {"reason": "ContainerCreating"}}}],
            },
            "",
        ),
        ({"phase": "Running", "containerStatuses": [{"name": "training", "state": {"running": {}}}]}, ""),
        ({"phase": "Failed", "containerStatuses": [{"name": "t", "state": {"terminated": {"exitCode": 1}}}]}, ""),
        ({}, ""),
    ],
    ids=["unschedulable", "image", "image of an init container", "being created", "runs", "ended", "unknown"],
)
def test_the_reason_why_the_pod_of_a_run_does_not_start_is_that_of_kubernetes(
    cluster: FakeKubernetes, status: dict[str, object], expected: str
) -> None:
    launcher(cluster).start(RUN, SNAPSHOT)
    cluster.pods["p"] = {"metadata": {"name": "p", "labels": {"job-name": RUN}}, "status": status}
    cluster.pods["q"] = {"metadata": {"name": "q", "labels": {"job-name": "another"}}, "status": UNSCHEDULABLE}

    assert expected == launcher(cluster).pending_reason(RUN)


def test_a_reason_that_cannot_be_read_is_empty(cluster: FakeKubernetes) -> None:
    cluster.forbidden = {"pods"}

    assert "" == launcher(cluster).pending_reason(RUN)


def test_a_forbidden_request_makes_the_launcher_unavailable(cluster: FakeKubernetes) -> None:
    cluster.forbidden = {"jobs"}

    with pytest.raises(LauncherUnavailable, match="403"):
        launcher(cluster).find(RUN)
    with pytest.raises(LauncherUnavailable, match="403"):
        launcher(cluster).start(RUN, SNAPSHOT)


def test_a_missing_template_makes_the_launcher_unavailable(cluster: FakeKubernetes) -> None:
    del cluster.objects["cronjobs", "training"]

    with pytest.raises(LauncherUnavailable, match=r"cronjobs/training in shop: .* 404"):
        launcher(cluster).start(RUN, SNAPSHOT)


def test_an_invalid_job_is_refused(cluster: FakeKubernetes) -> None:
    cluster.invalid = {"jobs"}

    with pytest.raises(LaunchRefused, match="422"):
        launcher(cluster).start(RUN, SNAPSHOT)
