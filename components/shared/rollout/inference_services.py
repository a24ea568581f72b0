"""Set the releases of the three InferenceServices, and read the state of their pods."""

from typing import Any

from tenacity import retry, retry_if_exception_type, stop_after_attempt, wait_random_exponential

from components.shared.kubernetes_api import DEPLOYMENT, INFERENCE_SERVICE, ClusterApi, Conflict, NotFound, Object
from components.shared.pod_problems import container_states, last_line, pod_problems
from components.shared.rollout.placement import Placement, read
from product_classifier.errors import RolloutFailed
from product_classifier.model_names import BY_BUNDLE

KINDS = {name: kind for kind, name in BY_BUNDLE.items()}
"""Name of an InferenceService to the kind of bundle it serves."""

FINISHED_PHASES = frozenset({"Succeeded", "Failed"})
"""Phases of pods that no longer run, such as evicted ones."""

EXIT_REFUSED = 78
"""Exit status of a server whose bundle is invalid; a restart does not help."""


class InferenceServices:
    """InferenceServices of one namespace that serve the releases below `models`."""

    def __init__(self, api: ClusterApi, models: str) -> None:
        self._api = api
        self._models = models

    def placement(self, name: str) -> Placement:
        """Return the releases that are set for an InferenceService."""
        return read(self._predictor(self._api.get(INFERENCE_SERVICE, name)).get("annotations"))

    @retry(
        retry=retry_if_exception_type(Conflict),
        stop=stop_after_attempt(20),
        wait=wait_random_exponential(multiplier=0.05, max=2),
        reraise=True,
    )
    def place(self, name: str, wanted: Placement, instead_of: Placement) -> None:
        """Set the releases of an InferenceService.

        The controller writes the object often, so a conflict is retried.

        Raises:
            RolloutFailed: If another client has changed the releases in between.
        """
        service = self._api.get(INFERENCE_SERVICE, name)
        found = read(self._predictor(service).get("annotations"))
        if found == wanted:
            return
        if found != instead_of:
            raise RolloutFailed(f"{name}: was set to {found.current!r} by another client; start the promotion again")
        changes = {
            "metadata": {"resourceVersion": service["metadata"]["resourceVersion"]},
            "spec": {"predictor": wanted.fields(self._models, KINDS[name])},
        }
        self._api.patch(INFERENCE_SERVICE, name, changes)

    def pending(self, name: str, wanted: Placement) -> str:
        """Return what is missing until all pods serve `wanted` and no others; "" once nothing is.

        KServe's `status.observedGeneration` is that of the Deployment, and Ready stays True during a change, so only
        the template of the Deployment shows whether the change has arrived.

        Raises:
            RolloutFailed: If a server refuses the release.
        """
        try:
            deployment = self._api.get(DEPLOYMENT, f"{name}-predictor")
        except NotFound:
            return f"{name}: has no Deployment"
        if _template(deployment) != wanted:
            message = _message(self._api.get(INFERENCE_SERVICE, name))
            return f"{name}: KServe has not applied the change{f' ({message})' if message else ''}"
        pods = self.pods(name)
        old = [pod for pod in pods if _of(pod) != wanted]
        new = [pod for pod in pods if _of(pod) == wanted and "deletionTimestamp" not in pod["metadata"]]
        for pod in new:
            _raise_if_refused(pod)
        expected = (deployment.get("spec") or {}).get("replicas", 1)
        ready = sum(map(_is_ready, new))
        if ready < expected or _behind(deployment):
            return "; ".join([f"{name}: {ready} of {expected} new pods are ready", *pod_problems(new)])
        if old:
            return f"{name}: {len(old)} old pods remain"
        if not _is_ready(self._api.get(INFERENCE_SERVICE, name)):
            return f"{name}: is not Ready"
        return ""

    def pods(self, name: str) -> list[Object]:
        """Return the pods of an InferenceService, including terminating ones."""
        found = self._api.pods(f"serving.kserve.io/inferenceservice={name}")
        return [pod for pod in found if (pod.get("status") or {}).get("phase") not in FINISHED_PHASES]

    def serving(self, name: str) -> list[str]:
        """Return the current releases of the ready pods of an InferenceService."""
        return [_of(pod).current for pod in self.pods(name) if _is_ready(pod) and _of(pod).current]

    def held(self, name: str) -> set[str]:
        """Return the releases that pods of an InferenceService hold or download on start."""
        places = [self.placement(name), *map(_of, self.pods(name))]
        return {release for place in places for release in (place.current, *place.held) if release}

    @staticmethod
    def _predictor(service: Object) -> dict[str, Any]:
        return dict(service["spec"]["predictor"])


def _of(pod: Object) -> Placement:
    return read(pod["metadata"].get("annotations"))


def _template(deployment: Object) -> Placement:
    return read(deployment["spec"]["template"]["metadata"].get("annotations"))


def _behind(deployment: Object) -> bool:
    observed = (deployment.get("status") or {}).get("observedGeneration", 0)
    return bool(observed < deployment["metadata"].get("generation", 0))


def _is_ready(thing: Object) -> bool:
    conditions = (thing.get("status") or {}).get("conditions") or []
    return any(one["type"] == "Ready" and one["status"] == "True" for one in conditions)


def _message(service: Object) -> str:
    conditions = (service.get("status") or {}).get("conditions") or []
    return next((str(one.get("message", ""))[:400] for one in conditions if one["type"] == "Ready"), "")


def _raise_if_refused(pod: Object) -> None:
    for container, detail in container_states(pod):
        if detail.get("exitCode") == EXIT_REFUSED:
            message = last_line(detail.get("message", "")) or "see its log"
            raise RolloutFailed(f"{pod['metadata']['name']}: {container} refuses the release: {message}")
