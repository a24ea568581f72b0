"""Delete the pods that keep a StatefulSet from its newest revision.

A StatefulSet replaces a pod only after it has been ready. A pod that cannot start, because its image is missing or
exits, thus stays when a corrected revision is applied, until it is deleted:
https://kubernetes.io/docs/concepts/workloads/controllers/statefulset/#forced-rollback
"""

from collections.abc import Iterator

from operations.cluster.command_runner import CommandRunner
from operations.cluster.object_status import Object

REVISION = "controller-revision-hash"
CANNOT_START = frozenset(
    {
        "CrashLoopBackOff",
        "CreateContainerConfigError",
        "CreateContainerError",
        "ErrImageNeverPull",
        "ErrImagePull",
        "ImagePullBackOff",
        "InvalidImageName",
        "RunContainerError",
    }
)
"""Reasons of waiting containers that another revision may resolve, and time alone rarely does."""


def delete_stuck_pods(runner: CommandRunner, namespace: str) -> None:
    """Delete pods of earlier revisions of StatefulSets that cannot start; report each with its reason."""
    found = (runner.get("statefulsets,pods", "--namespace", namespace) or {"items": []})["items"]
    newest = {
        one["metadata"]["name"]: one.get("status", {}).get("updateRevision")
        for one in found
        if one["kind"] == "StatefulSet" and _is_observed(one)
    }
    for pod in found:
        owners = [one["name"] for one in pod["metadata"].get("ownerReferences", []) if one["kind"] == "StatefulSet"]
        revision = pod["metadata"].get("labels", {}).get(REVISION)
        if not owners or newest.get(owners[0]) in {None, revision} or "deletionTimestamp" in pod["metadata"]:
            continue
        for container, reason in _waiting(pod):
            name = pod["metadata"]["name"]
            runner.kubectl("delete", "pod", name, "--namespace", namespace, "--wait=false")
            runner.report(f"pod {name} of an earlier revision deleted: {container} cannot start ({reason})")
            break


def _is_observed(stateful_set: Object) -> bool:
    """Return whether the status is that of the newest generation, and so its `updateRevision`."""
    observed = stateful_set.get("status", {}).get("observedGeneration", 0)
    return bool(observed >= stateful_set["metadata"].get("generation", 0))


def _waiting(pod: Object) -> Iterator[tuple[str, str]]:
    """Yield the name of each container that cannot start, with the reason."""
    status = pod.get("status", {})
    for container in [*status.get("initContainerStatuses", []), *status.get("containerStatuses", [])]:
        reason = container.get("state", {}).get("waiting", {}).get("reason", "")
        if reason in CANNOT_START:
            yield container["name"], reason
