"""Why pods are not ready, as Kubernetes reports it."""

from collections.abc import Iterator, Sequence

from components.shared.kubernetes_api import Object

MESSAGE_CHARACTERS = 300
STARTING = frozenset({None, "ContainerCreating", "PodInitializing", "Completed"})
"""Reasons of containers that start, or have ended, as they should."""


def container_states(pod: Object) -> Iterator[tuple[str, Object]]:
    """Yield each container of a pod with its present and its last state."""
    status = pod.get("status") or {}
    for container in [*(status.get("initContainerStatuses") or []), *(status.get("containerStatuses") or [])]:
        for when in ("state", "lastState"):
            for detail in (container.get(when) or {}).values():
                yield container["name"], detail or {}


def pod_problems(pods: Sequence[Object]) -> Iterator[str]:
    """Yield one line per problem: a pod not scheduled, an image missing, a container that ended."""
    for pod in pods:
        name = pod["metadata"]["name"]
        for container, detail in container_states(pod):
            if detail.get("exitCode") or detail.get("reason") not in STARTING:
                parts = (detail.get("reason"), last_line(detail.get("message", "")))
                yield f"{name}: {container}: {' '.join(filter(None, parts))}"
        for condition in (pod.get("status") or {}).get("conditions") or []:
            if condition["type"] == "PodScheduled" and condition["status"] == "False":
                yield f"{name}: cannot be scheduled: {condition.get('message', 'no reason given')[:MESSAGE_CHARACTERS]}"


def pending_reason(pods: Sequence[Object]) -> str:
    """Return why pods that have not started do not start; an empty string if they do."""
    pending = [pod for pod in pods if (pod.get("status") or {}).get("phase") == "Pending"]
    return "; ".join(pod_problems(pending))


def last_line(message: object) -> str:
    """Return the end of a container's message, which has the reason, in one line."""
    return " ".join(str(message).split())[-MESSAGE_CHARACTERS:]
