"""When an object counts as ready: as of its newest version, not of the one before."""

from typing import Any

import pytest

from operations.cluster.waiting import NotReady, for_platform, state, until_ready
from tests.support.fake_commands import FakeCluster


def workload(*, generation: int = 2, observed: int = 2, **counts: int) -> dict[str, Any]:
    status = {"observedGeneration": observed, "replicas": 2, "updatedReplicas": 2, "availableReplicas": 2}
    return {
        "kind": "StatefulSet",
        "metadata": {"name": "auth-proxy", "generation": generation},
        "spec": {"replicas": 2},
        "status": status | counts,
    }


def job(*conditions: dict[str, str]) -> dict[str, Any]:
    return {"kind": "Job", "metadata": {"name": "bootstrap", "generation": 1}, "status": {"conditions": [*conditions]}}


def service(status: str, message: str = "") -> dict[str, Any]:
    ready = {"type": "Ready", "status": status, "message": message}
    return {
        "kind": "InferenceService",
        "metadata": {"name": "text-predictor", "generation": 1},
        "status": {"observedGeneration": 1, "conditions": [ready]},
    }


@pytest.mark.parametrize(
    ("one", "expected"),
    [
        pytest.param(workload(), "", id="all replicas of the newest version"),
        pytest.param(workload(observed=1), "its newest version was not seen yet", id="status of the version before"),
        pytest.param(workload(updatedReplicas=1), "1 of 2 are ready", id="half way through a rollout"),
        pytest.param(workload(availableReplicas=0), "0 of 2 are ready", id="not available"),
        pytest.param(workload(replicas=3), "2 of 2 are ready", id="an old pod is still there"),
        pytest.param(job(), "runs", id="job"),
        pytest.param(job({"type": "Complete", "status": "True"}), "", id="job done"),
        pytest.param(
            job({"type": "Failed", "status": "True", "message": "BackoffLimit"}),
            "failed: BackoffLimit",
            id="job failed",
        ),
        pytest.param(service("True"), "", id="inference service"),
        pytest.param(service("False", "no pod is ready"), "no pod is ready", id="inference service not ready"),
        pytest.param(
            {"kind": "InferenceService", "metadata": {"name": "new", "generation": 1}},
            "its newest version was not seen yet",
            id="not looked at yet",
        ),
    ],
)
def test_an_object_is_ready_or_says_why_not(one: dict[str, Any], expected: str) -> None:
    assert expected == state(one)


def cluster_with(*objects: dict[str, Any]) -> FakeCluster:
    cluster = FakeCluster()
    for one in objects:
        cluster.objects[one["kind"].lower() + "s", "ns", one["metadata"]["name"]] = one
    return cluster


def test_a_deployment_is_over_when_everything_is_ready() -> None:
    cluster = cluster_with(workload(), job({"type": "Complete", "status": "True"}))
    until_ready(cluster, "ns", 5)

    assert ["job/bootstrap is ready", "statefulset/auth-proxy is ready"] == [
        line.split("  ")[0] for line in cluster.said
    ]


def test_a_failed_job_ends_the_wait_with_its_reason_and_the_pods() -> None:
    cluster = cluster_with(workload(), job({"type": "Failed", "status": "True", "message": "it crashed"}))
    cluster.answers["kubectl get pods"] = "bootstrap-x7k2p  Error"

    with pytest.raises(NotReady, match=r"job/bootstrap: failed: it crashed\n\nbootstrap-x7k2p"):
        until_ready(cluster, "ns", 3600)


def test_what_is_not_ready_in_time_is_named() -> None:
    with pytest.raises(NotReady, match="statefulset/auth-proxy: 1 of 2 are ready"):
        until_ready(cluster_with(workload(availableReplicas=1)), "ns", 0)


def test_a_run_or_a_simulation_that_goes_on_or_failed_holds_up_no_deployment() -> None:
    run = job({"type": "Failed", "status": "True", "message": "refused"}) | {"metadata": {"name": "retrain-7"}}

    until_ready(cluster_with(workload(), run), "ns", 0.1)


def test_the_deployment_of_an_inference_service_is_kserves_business() -> None:
    made = workload(availableReplicas=0) | {"kind": "Deployment"}
    made["metadata"] = {"name": "text-predictor-predictor", "ownerReferences": [{"kind": "InferenceService"}]}

    until_ready(cluster_with(service("True"), made), "ns", 0.1)


def test_a_cluster_without_kserve_is_refused_with_what_to_do() -> None:
    with pytest.raises(NotReady, match="this cluster has no KServe: `make up`"):
        for_platform(FakeCluster())
