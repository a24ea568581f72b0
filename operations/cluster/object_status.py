"""Wait until the objects of a namespace are ready, and report each as it becomes ready."""

import time
from collections.abc import Callable, Collection, Mapping
from typing import Any

from operations.cluster.command_runner import CommandFailed, CommandRunner

POLL_S = 2.0
DEPLOYMENT_JOBS = ("bucket", "bootstrap")
"""The Jobs that belong to a deployment; all others are runs and simulations."""
KINDS = "inferenceservices.serving.kserve.io,statefulsets,deployments,jobs"
CONTROLLER = "deployment/kserve-controller-manager"
Object = Mapping[str, Any]


class NotReady(CommandFailed):
    """An object failed permanently or did not become ready in time."""


def wait_for_platform(runner: CommandRunner) -> None:
    """Wait until KServe serves InferenceServices; raise `NotReady` if the cluster has no KServe."""
    if runner.get("crd", "inferenceservices.serving.kserve.io") is None:
        raise NotReady("this cluster has no KServe; create one with `make up`, or install manifests/platform")
    runner.kubectl("wait", "--for=condition=Established", "crd/inferenceservices.serving.kserve.io", "--timeout=120s")
    runner.kubectl("--namespace=kserve", "wait", "--for=condition=Available", CONTROLLER, "--timeout=300s")


def wait_until_ready(
    runner: CommandRunner,
    namespace: str,
    timeout_s: float,
    *,
    names: Collection[str] = (),
    on_poll: Callable[[], None] = lambda: None,
) -> None:
    """Wait until every object of the namespace is ready; raise `NotReady` on a failure or timeout.

    Args:
        runner: Reads the objects.
        namespace: Their namespace.
        timeout_s: Seconds until all must be ready.
        names: Wait only for the objects with these names; empty: all.
        on_poll: Called before each reading.
    """
    start_s = time.monotonic()
    ready: set[str] = set()
    while True:
        on_poll()
        found = (runner.get(KINDS, "--namespace", namespace) or {"items": []})["items"]
        deployments = {one["metadata"]["name"]: one for one in found if one["kind"] == "Deployment"}
        reasons = {
            _name(one): not_ready_reason(one) or _rollout_reason(one, deployments)
            for one in found
            if not _is_ignored(one) and (not names or one["metadata"]["name"] in names)
        }
        for name in sorted(reasons):
            if reasons[name] == "" and name not in ready:
                runner.report(f"{name} is ready  {time.monotonic() - start_s:.0f} s")
        ready = {name for name, reason in reasons.items() if reason == ""}
        waiting = {name: reason for name, reason in reasons.items() if reason}
        if reasons and not waiting:
            return
        failed = [f"{name}: {reason}" for name, reason in waiting.items() if reason.startswith("failed")]
        if failed or time.monotonic() - start_s > timeout_s:
            raise NotReady(_summary(runner, namespace, waiting, failed))
        time.sleep(POLL_S)


def not_ready_reason(one: Object) -> str:
    """Return why the newest generation of an object is not ready; an empty string if it is."""
    status = one.get("status", {})
    conditions = {condition["type"]: condition for condition in status.get("conditions", [])}
    if one["kind"] == "Job":
        if conditions.get("Failed", {}).get("status") == "True":
            return f"failed: {conditions['Failed'].get('message', 'no reason given')}"
        return "" if conditions.get("Complete", {}).get("status") == "True" else "running"
    if status.get("observedGeneration", 0) < one["metadata"].get("generation", 0):
        return "its newest generation is not observed yet"
    if one["kind"] == "InferenceService":
        ready = conditions.get("Ready", {})
        return "" if ready.get("status") == "True" else ready.get("message") or ready.get("reason") or "not ready"
    wanted = one["spec"].get("replicas", 1)
    updated, available = status.get("updatedReplicas", 0), status.get("availableReplicas", 0)
    if updated >= wanted and available >= wanted and status.get("replicas", 0) == wanted:
        return ""
    return f"{min(updated, available)} of {wanted} replicas are ready"


def _rollout_reason(one: Object, deployments: Mapping[str, Object]) -> str:
    """Return why the Deployment of an InferenceService is not ready: Ready stays True while its pods are replaced."""
    deployment = deployments.get(f"{one['metadata']['name']}-predictor")
    if one["kind"] != "InferenceService" or deployment is None:
        return ""
    if _images(one["spec"]["predictor"]) != _images(deployment["spec"]["template"]["spec"]):
        return "KServe has not applied the change yet"
    return not_ready_reason(deployment)


def _images(pod: Object) -> dict[str, str]:
    return {container["name"]: container["image"] for container in pod["containers"]}


def _name(one: Object) -> str:
    return f"{one['kind'].lower()}/{one['metadata']['name']}"


def _is_ignored(one: Object) -> bool:
    """Return whether its InferenceService stands for this Deployment, or a Job is not part of the deployment."""
    owners = {owner["kind"] for owner in one["metadata"].get("ownerReferences", [])}
    return "InferenceService" in owners or (one["kind"] == "Job" and one["metadata"]["name"] not in DEPLOYMENT_JOBS)


def _summary(runner: CommandRunner, namespace: str, waiting: Mapping[str, str], failed: list[str]) -> str:
    lines = failed or [f"{name}: {reason}" for name, reason in sorted(waiting.items())]
    pods = runner.kubectl("get", "pods", "--namespace", namespace)
    return "\n".join(["not everything became ready:", *lines, "", pods.rstrip()])
