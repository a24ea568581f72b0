"""Wait for what runs in a cluster, and say what is ready as it gets ready."""

import time
from collections.abc import Mapping
from typing import Any

from operations.cluster.commands import CommandFailed, Commands

PAUSE_S = 2.0
ONCE = ("bucket", "bootstrap")
"""Jobs that belong to a deployment; the others are runs and simulations, which come and go."""
KINDS = "inferenceservices.serving.kserve.io,statefulsets,deployments,jobs"
CONTROLLER = "deployment/kserve-controller-manager"
Object = Mapping[str, Any]


class NotReady(CommandFailed):
    """Something failed for good, or did not become ready in time."""


def for_platform(commands: Commands) -> None:
    """Return when KServe takes InferenceServices; say what is missing when there is none."""
    if commands.get("crd", "inferenceservices.serving.kserve.io") is None:
        raise NotReady(
            "this cluster has no KServe: `make up` makes one that has, manifests/platform says how to add it"
        )
    commands.kubectl("wait", "--for=condition=Established", "crd/inferenceservices.serving.kserve.io", "--timeout=120s")
    commands.kubectl("--namespace=kserve", "wait", "--for=condition=Available", CONTROLLER, "--timeout=300s")


def until_ready(commands: Commands, namespace: str, timeout_s: float) -> None:
    """Return when everything of the namespace is ready."""
    begin = time.monotonic()
    ready: set[str] = set()
    while True:
        found = commands.get(KINDS, "--namespace", namespace) or {"items": []}
        states = {_name(one): state(one) for one in found["items"] if not _is_part(one)}
        for name in sorted(states):
            if states[name] == "" and name not in ready:
                commands.say(f"{name} is ready  {time.monotonic() - begin:.0f} s")
        ready = {name for name, reason in states.items() if reason == ""}
        waiting = {name: reason for name, reason in states.items() if reason}
        if states and not waiting:
            return
        failed = [f"{name}: {reason}" for name, reason in waiting.items() if reason.startswith("failed")]
        if failed or time.monotonic() - begin > timeout_s:
            raise NotReady(_account(commands, namespace, waiting, failed))
        time.sleep(PAUSE_S)


def state(one: Object) -> str:
    """Return why an object is not ready, as of the newest version of its spec; nothing when it is."""
    status = one.get("status", {})
    conditions = {condition["type"]: condition for condition in status.get("conditions", [])}
    if one["kind"] == "Job":
        if conditions.get("Failed", {}).get("status") == "True":
            return f"failed: {conditions['Failed'].get('message', 'no reason given')}"
        return "" if conditions.get("Complete", {}).get("status") == "True" else "runs"
    if status.get("observedGeneration", 0) < one["metadata"].get("generation", 0):
        return "its newest version was not seen yet"
    if one["kind"] == "InferenceService":
        about = conditions.get("Ready", {})
        return "" if about.get("status") == "True" else about.get("message") or about.get("reason") or "not ready"
    wanted = one["spec"].get("replicas", 1)
    updated, available = status.get("updatedReplicas", 0), status.get("availableReplicas", 0)
    if updated >= wanted and available >= wanted and status.get("replicas", 0) == wanted:
        return ""
    return f"{min(updated, available)} of {wanted} are ready"


def _name(one: Object) -> str:
    return f"{one['kind'].lower()}/{one['metadata']['name']}"


def _is_part(one: Object) -> bool:
    """Tell whether something else speaks for it: an InferenceService for the Deployment that KServe made of it."""
    owners = {owner["kind"] for owner in one["metadata"].get("ownerReferences", [])}
    return "InferenceService" in owners or (one["kind"] == "Job" and one["metadata"]["name"] not in ONCE)


def _account(commands: Commands, namespace: str, waiting: Mapping[str, str], failed: list[str]) -> str:
    lines = failed or [f"{name}: {reason}" for name, reason in sorted(waiting.items())]
    pods = commands.kubectl("get", "pods", "--namespace", namespace)
    return "\n".join(["not everything became ready:", *lines, "", pods.rstrip()])
