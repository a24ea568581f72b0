"""Tests of readiness: an object is ready when its newest generation is."""

from typing import Any

import pytest

from operations.cluster.object_status import NotReady, not_ready_reason, wait_for_platform, wait_until_ready
from tests.support.fake_cluster import FakeCluster


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
        pytest.param(workload(), "", id="all replicas of the newest generation"),
        pytest.param(
            workload(observed=1), "its newest generation is not observed yet", id="status of an older generation"
        ),
        pytest.param(workload(updatedReplicas=1), "1 of 2 replicas are ready", id="half way through a rollout"),
        pytest.param(workload(availableReplicas=0), "0 of 2 replicas are ready", id="not available"),
        pytest.param(workload(replicas=3), "2 of 2 replicas are ready", id="an old pod still exists"),
        pytest.param(job(), "running", id="job"),
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
            "its newest generation is not observed yet",
            id="not observed yet",
        ),
    ],
)
def test_the_reason_is_empty_for_a_ready_object(one: dict[str, Any], expected: str) -> None:
    assert expected == not_ready_reason(one)


def cluster_with(*objects: dict[str, Any]) -> FakeCluster:
    cluster = FakeCluster()
    for one in objects:
        cluster.objects[one["kind"].lower() + "s", "ns", one["metadata"]["name"]] = one
    return cluster


def test_the_wait_ends_when_everything_is_ready() -> None:
    cluster = cluster_with(workload(), job({"type": "Complete", "status": "True"}))
    wait_until_ready(cluster, "ns", 5)

    assert ["job/bootstrap is ready", "statefulset/auth-proxy is ready"] == [
        line.split("  ")[0] for line in cluster.reported
    ]


def test_a_failed_job_ends_the_wait_with_its_reason_and_the_pods() -> None:
    cluster = cluster_with(workload(), job({"type": "Failed", "status": "True", "message": "it crashed"}))
    cluster.outputs["kubectl get pods"] = "bootstrap-x7k2p  Error"

    with pytest.raises(NotReady, match=r"job/bootstrap: failed: it crashed\n\nbootstrap-x7k2p"):
        wait_until_ready(cluster, "ns", 3600)


def test_a_timeout_names_what_is_not_ready() -> None:
    with pytest.raises(NotReady, match="statefulset/auth-proxy: 1 of 2 replicas are ready"):
        wait_until_ready(cluster_with(workload(availableReplicas=1)), "ns", 0)


def test_jobs_of_runs_and_simulations_are_ignored() -> None:
    run = job({"type": "Failed", "status": "True", "message": "refused"}) | {"metadata": {"name": "retrain-7"}}

    wait_until_ready(cluster_with(workload(), run), "ns", 0.1)


@pytest.mark.parametrize(
    ("counts", "image", "reason"),
    [
        ({}, "new", ""),
        ({"availableReplicas": 1}, "new", "1 of 2 replicas are ready"),
        ({}, "old", "KServe has not applied the change yet"),
    ],
)
def test_an_inference_service_is_ready_when_its_deployment_runs_its_image(
    counts: dict[str, int], image: str, reason: str
) -> None:
    made = workload(**counts) | {"kind": "Deployment"}
    made["metadata"] |= {"name": "text-predictor-predictor", "ownerReferences": [{"kind": "InferenceService"}]}
    made["spec"]["template"] = {"spec": {"containers": [{"name": "kserve-container", "image": image}]}}
    wanted = {"predictor": {"containers": [{"name": "kserve-container", "image": "new"}]}}
    cluster = cluster_with(service("True") | {"spec": wanted}, made)
    if not reason:
        wait_until_ready(cluster, "ns", 0)
        return

    with pytest.raises(NotReady, match=f"inferenceservice/text-predictor: {reason}"):
        wait_until_ready(cluster, "ns", 0)


def test_the_wait_can_be_for_some_objects_only() -> None:
    other = workload(availableReplicas=0)
    other["metadata"] = {"name": "feedback-service", "generation": 2}

    wait_until_ready(cluster_with(workload(), other), "ns", 0, names={"auth-proxy"})


def test_a_cluster_without_kserve_is_rejected_with_a_remedy() -> None:
    with pytest.raises(NotReady, match="this cluster has no KServe; create one with `make up`"):
        wait_for_platform(FakeCluster())
