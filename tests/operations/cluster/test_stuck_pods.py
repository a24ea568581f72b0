"""Pods that keep a StatefulSet from its newest revision are deleted, and no others."""

from typing import Any

import pytest

from operations.cluster.stuck_pods import CANNOT_START, delete_stuck_pods
from tests.support.fake_cluster import FakeCluster

WAITING = {"name": "accounts", "state": {"waiting": {"reason": "CrashLoopBackOff"}}}
RUNNING = {"name": "auth-proxy", "state": {"running": {}}, "ready": False}
STARTING = {"name": "auth-proxy", "state": {"waiting": {"reason": "PodInitializing"}}}


def stateful_set(*, observed: int = 3) -> dict[str, Any]:
    return {
        "kind": "StatefulSet",
        "metadata": {"name": "auth-proxy", "generation": 3},
        "status": {"observedGeneration": observed, "updateRevision": "auth-proxy-new"},
    }


def pod(revision: str = "auth-proxy-old", owner: str = "StatefulSet", **status: Any) -> dict[str, Any]:
    return {
        "kind": "Pod",
        "metadata": {
            "name": "auth-proxy-1",
            "labels": {"controller-revision-hash": revision},
            "ownerReferences": [{"kind": owner, "name": "auth-proxy"}],
        },
        "status": status,
    }


def deleted(stateful_set: dict[str, Any], pod: dict[str, Any]) -> list[str]:
    cluster = FakeCluster()
    cluster.objects["statefulsets", "ns", "auth-proxy"] = stateful_set
    cluster.objects["pods", "ns", "auth-proxy-1"] = pod
    delete_stuck_pods(cluster, "ns")
    assert len(cluster.reported) == len(cluster.commands)
    return [command[3] for command in cluster.commands if command[:3] == ["kubectl", "delete", "pod"]]


@pytest.mark.parametrize("reason", sorted(CANNOT_START))
@pytest.mark.parametrize("kind", ["initContainerStatuses", "containerStatuses"])
def test_a_pod_of_an_earlier_revision_that_cannot_start_is_deleted(reason: str, kind: str) -> None:
    stuck = {"name": "auth-proxy", "state": {"waiting": {"reason": reason}}}

    assert ["auth-proxy-1"] == deleted(stateful_set(), pod(**{kind: [stuck, stuck]}))


@pytest.mark.parametrize(
    ("stateful", "one"),
    [
        (stateful_set(), pod(containerStatuses=[RUNNING])),
        (stateful_set(), pod(containerStatuses=[STARTING])),
        (stateful_set(), pod()),
        (stateful_set(), pod("auth-proxy-new", initContainerStatuses=[WAITING])),
        (stateful_set(), pod(owner="ReplicaSet", initContainerStatuses=[WAITING])),
        (stateful_set(observed=2), pod(initContainerStatuses=[WAITING])),
    ],
    ids=["runs", "starts", "not scheduled", "newest revision", "of a Deployment", "revision not observed yet"],
)
def test_other_pods_are_kept(stateful: dict[str, Any], one: dict[str, Any]) -> None:
    assert [] == deleted(stateful, one)
