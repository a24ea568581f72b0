"""The three InferenceServices: told what to serve, and watched until every pod does."""

from collections.abc import Iterator
from typing import Any

from tenacity import retry, retry_if_exception_type, stop_after_attempt, wait_random_exponential

from components.shared.kubernetes_api import DEPLOYMENT, INFERENCE_SERVICE, ClusterApi, Conflict, NotThere, Object
from components.shared.rollout.placement import Placement, read
from product_classifier.errors import RolloutFailed

KINDS = {"text-predictor": "text", "image-predictor": "image", "fusion-transformer": "fusion"}
"""Name of an InferenceService to the bundle of a release that it serves."""

OVER = frozenset({"Succeeded", "Failed"})
"""Phases of a pod that is only kept to be read about, such as an evicted one."""

REFUSED = 78
"""Exit status of a server whose bundle was refused: starting it again changes nothing."""


class InferenceServices:
    """Those of one namespace, which serve releases found below `models`."""

    def __init__(self, api: ClusterApi, models: str) -> None:
        self._api = api
        self._models = models

    def placement(self, name: str) -> Placement:
        """Return what an InferenceService is told to serve."""
        return read(self._predictor(self._api.get(INFERENCE_SERVICE, name)).get("annotations"))

    @retry(
        retry=retry_if_exception_type(Conflict),
        stop=stop_after_attempt(20),
        wait=wait_random_exponential(multiplier=0.05, max=2),
        reraise=True,
    )
    def place(self, name: str, wanted: Placement, instead_of: Placement) -> None:
        """Tell an InferenceService what to serve; `RolloutFailed` when somebody else has told it something meanwhile.

        The controller writes into the object all the time, so a conflict only means to look again.
        """
        service = self._api.get(INFERENCE_SERVICE, name)
        found = read(self._predictor(service).get("annotations"))
        if found == wanted:
            return
        if found != instead_of:
            raise RolloutFailed(f"{name} was given {found.current!r} by somebody else meanwhile")
        changes = {
            "metadata": {"resourceVersion": service["metadata"]["resourceVersion"]},
            "spec": {"predictor": wanted.fields(self._models, KINDS[name])},
        }
        self._api.patch(INFERENCE_SERVICE, name, changes)

    def missing(self, name: str, wanted: Placement) -> str:
        """Say what is missing until every pod serves what is wanted and none serves anything else; "" when nothing is.

        KServe's `status.observedGeneration` is that of the Deployment, and Ready stays True from before, so it is the
        Deployment's own template that tells whether the change has arrived.

        Raises:
            RolloutFailed: If it will never be so.
        """
        try:
            deployment = self._api.get(DEPLOYMENT, f"{name}-predictor")
        except NotThere:
            return f"{name} has no Deployment yet"
        if _template(deployment) != wanted:
            said = _message(self._api.get(INFERENCE_SERVICE, name))
            return f"KServe has not taken over the change of {name}{f' ({said})' if said else ''}"
        pods = self.pods(name)
        old = [pod for pod in pods if _of(pod) != wanted]
        new = [pod for pod in pods if _of(pod) == wanted and "deletionTimestamp" not in pod["metadata"]]
        for pod in new:
            _raise_if_refused(pod)
        expected = (deployment.get("spec") or {}).get("replicas", 1)
        ready = sum(map(_is_ready, new))
        if ready < expected or _behind(deployment):
            return "; ".join([f"{ready} of {expected} new pods of {name} are ready", *_troubles(new)])
        if old:
            return f"{len(old)} old pods of {name} are still there"
        if not _is_ready(self._api.get(INFERENCE_SERVICE, name)):
            return f"{name} is not Ready"
        return ""

    def pods(self, name: str) -> list[Object]:
        """Return the pods of an InferenceService, those that are ending included."""
        found = self._api.pods(f"serving.kserve.io/inferenceservice={name}")
        return [pod for pod in found if (pod.get("status") or {}).get("phase") not in OVER]

    def in_pods(self, name: str) -> list[str]:
        """Return the current releases of the pods that answer for an InferenceService."""
        return [_of(pod).current for pod in self.pods(name) if _is_ready(pod) and _of(pod).current]

    def held(self, name: str) -> set[str]:
        """Return the releases that pods of an InferenceService hold, or bring when they start."""
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


def _states(pod: Object) -> Iterator[tuple[str, Object]]:
    """Yield each container of a pod with how it is, or last ended."""
    status = pod.get("status") or {}
    for container in [*(status.get("initContainerStatuses") or []), *(status.get("containerStatuses") or [])]:
        for when in ("state", "lastState"):
            for detail in (container.get(when) or {}).values():
                yield container["name"], detail or {}


def _raise_if_refused(pod: Object) -> None:
    for container, detail in _states(pod):
        if detail.get("exitCode") == REFUSED:
            said = _one_line(detail.get("message", ""))
            raise RolloutFailed(f"{pod['metadata']['name']}: {container} refuses the release: {said or 'see its log'}")


def _troubles(pods: list[Object]) -> Iterator[str]:
    """Yield why pods are not ready, as Kubernetes says it."""
    for pod in pods:
        name = pod["metadata"]["name"]
        for container, detail in _states(pod):
            if detail.get("exitCode") or detail.get("reason") not in {None, "PodInitializing", "Completed"}:
                words = (detail.get("reason"), _one_line(detail.get("message", "")))
                yield f"{name}: {container}: {' '.join(filter(None, words))}"
        for condition in (pod.get("status") or {}).get("conditions") or []:
            if condition["type"] == "PodScheduled" and condition["status"] == "False":
                yield f"{name}: {condition.get('message', 'cannot be scheduled')[:300]}"


def _one_line(said: object) -> str:
    """Return the end of what a container said, where the reason is."""
    return " ".join(str(said).split())[-300:]
