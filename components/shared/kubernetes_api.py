"""The Kubernetes API as far as this product needs it: a few kinds of objects of one namespace, as plain dictionaries.

ClusterError
├── NotThere        no object of this name
├── Conflict        somebody else changed or made it first
├── Refused         not allowed
│   └── Invalid     not an object of this kind
└── Unreachable     no answer, or "not now", for longer than we try again
"""

import json
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from typing import Any, TypeVar, cast

import kubernetes
import urllib3
from tenacity import retry, retry_if_exception_type, stop_after_delay, wait_random_exponential

from product_classifier.errors import ProductClassifierError

PATIENCE_S = 60.0
"""How long an API server may be away; one that restarts takes seconds."""
CALL_S = 10.0

T = TypeVar("T")
Object = dict[str, Any]


class ClusterError(ProductClassifierError):
    """The Kubernetes API did not do what was asked."""


class NotThere(ClusterError):
    """No object of this kind has this name."""


class Conflict(ClusterError):
    """The object exists already, or was changed since it was read."""


class Refused(ClusterError):
    """This account may not do it."""


class Invalid(Refused):
    """The object is not one the API accepts; asking again changes nothing."""


class Unreachable(ClusterError):
    """The API server does not answer, or asks to come back later."""


@dataclass(frozen=True)
class Kind:
    """A kind of object, as the API's paths name it."""

    group: str
    version: str
    plural: str


INFERENCE_SERVICE = Kind("serving.kserve.io", "v1beta1", "inferenceservices")
DEPLOYMENT = Kind("apps", "v1", "deployments")
LEASE = Kind("coordination.k8s.io", "v1", "leases")
JOB = Kind("batch", "v1", "jobs")
CRON_JOB = Kind("batch", "v1", "cronjobs")

STATUSES = {400: Invalid, 404: NotThere, 409: Conflict, 422: Invalid, 429: Unreachable}
_patient = retry(
    retry=retry_if_exception_type(Unreachable),
    stop=stop_after_delay(PATIENCE_S),
    wait=wait_random_exponential(multiplier=0.2, max=5),
    reraise=True,
)


class ClusterApi:
    """Objects of one namespace. Every method may raise a `ClusterError`; a short outage is waited out."""

    def __init__(self, namespace: str, client: kubernetes.client.ApiClient | None = None) -> None:
        """Without a client, as the pod's service account, or as kubectl would."""
        self.namespace = namespace
        client = client or _connect()
        self._objects = kubernetes.client.CustomObjectsApi(client)
        self._core = kubernetes.client.CoreV1Api(client)

    def get(self, kind: Kind, name: str) -> Object:
        """Return an object."""
        return self._call(f"{kind.plural}/{name}", self._objects.get_namespaced_custom_object, kind, name)

    def patch(self, kind: Kind, name: str, changes: Object) -> Object:
        """Merge changes into an object; with metadata.resourceVersion among them, only into that version of it."""
        return self._call(f"{kind.plural}/{name}", self._objects.patch_namespaced_custom_object, kind, name, changes)

    def replace(self, kind: Kind, name: str, content: Object) -> Object:
        """Write an object over the version of it that was read."""
        return self._call(f"{kind.plural}/{name}", self._objects.replace_namespaced_custom_object, kind, name, content)

    def create(self, kind: Kind, content: Object) -> Object:
        """Make an object."""
        name = content["metadata"]["name"]
        return self._call(f"{kind.plural}/{name}", self._objects.create_namespaced_custom_object, kind, content)

    def delete(self, kind: Kind, name: str) -> None:
        """Remove an object and then, in the background, what it owns."""
        call = self._objects.delete_namespaced_custom_object
        self._call(f"{kind.plural}/{name}", call, kind, name, propagation_policy="Background")

    @_patient
    def pods(self, selector: str) -> list[Object]:
        """Return the pods with these labels, those that are ending included."""
        with _translated(f"pods with {selector}"):
            reply = self._core.list_namespaced_pod(
                self.namespace, label_selector=selector, _request_timeout=CALL_S, _preload_content=False
            )
            return cast(list[Object], _json(reply)["items"])

    @_patient
    def _call(self, what: str, call: Callable[..., Any], kind: Kind, *rest: Any, **options: Any) -> Object:
        place = (kind.group, kind.version, self.namespace, kind.plural)
        with _translated(f"{what} in {self.namespace}"):
            return cast(Object, call(*place, *rest, **options, _request_timeout=CALL_S))


def _connect() -> kubernetes.client.ApiClient:
    configuration = kubernetes.client.Configuration()
    try:
        kubernetes.config.load_incluster_config(client_configuration=configuration)
    except kubernetes.config.ConfigException:
        _as_kubectl(configuration)
    configuration.retries = False  # we try again ourselves, and longer
    return kubernetes.client.ApiClient(configuration)


def _as_kubectl(configuration: kubernetes.client.Configuration) -> None:
    try:
        kubernetes.config.load_kube_config(client_configuration=configuration)
    except kubernetes.config.ConfigException as error:
        raise Refused(f"there is neither a service account nor a kubeconfig here: {error}") from error


def _json(reply: Any) -> Object:
    return cast(Object, reply.json())


@contextmanager
def _translated(what: str) -> Iterator[None]:
    try:
        yield
    except kubernetes.client.ApiException as error:
        kind = STATUSES.get(error.status, Unreachable if error.status >= 500 else Refused)
        raise kind(f"{what}: the Kubernetes API answers {error.status} {error.reason}: {_message(error)}") from error
    except (urllib3.exceptions.HTTPError, OSError, ValueError) as error:
        raise Unreachable(f"{what}: {type(error).__name__}: {error!s:.200}") from error


def _message(error: kubernetes.client.ApiException) -> str:
    """Return what the API says is wrong; its body is a Status object."""
    try:
        return str(json.loads(error.body or "{}").get("message", ""))[:300]
    except (ValueError, AttributeError):
        return str(error.body)[:100]
