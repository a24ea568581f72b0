"""Client of the Kubernetes API for a few kinds of objects of one namespace, as dictionaries.

ClusterError
├── NotFound        there is no object of this name
├── Conflict        the object was changed or created by another client
├── Refused         the account lacks the permission
│   └── Invalid     the object is malformed
└── Unreachable     no response, 429 or 5xx, for longer than the retries last
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

RETRY_S = 60.0
"""Seconds that an unavailable API server is retried; a restart takes seconds."""
CALL_TIMEOUT_S = 10.0

T = TypeVar("T")
Object = dict[str, Any]


class ClusterError(ProductClassifierError):
    """A call of the Kubernetes API failed."""


class NotFound(ClusterError):
    """There is no object of this kind and name."""


class Conflict(ClusterError):
    """The object exists already, or has changed since it was read."""


class Refused(ClusterError):
    """The account lacks the permission."""


class Invalid(Refused):
    """The object is malformed; a retry does not help."""


class Unreachable(ClusterError):
    """The API server does not respond, or responds with 429 or 5xx."""


@dataclass(frozen=True)
class Kind:
    """A kind of object by its parts of the API's paths."""

    group: str
    version: str
    plural: str


INFERENCE_SERVICE = Kind("serving.kserve.io", "v1beta1", "inferenceservices")
DEPLOYMENT = Kind("apps", "v1", "deployments")
LEASE = Kind("coordination.k8s.io", "v1", "leases")
JOB = Kind("batch", "v1", "jobs")
CRON_JOB = Kind("batch", "v1", "cronjobs")

STATUSES = {400: Invalid, 404: NotFound, 409: Conflict, 422: Invalid, 429: Unreachable}
_retried = retry(
    retry=retry_if_exception_type(Unreachable),
    stop=stop_after_delay(RETRY_S),
    wait=wait_random_exponential(multiplier=0.2, max=5),
    reraise=True,
)


class ClusterApi:
    """Objects of one namespace; methods retry short outages and raise a `ClusterError`."""

    def __init__(self, namespace: str, client: kubernetes.client.ApiClient | None = None) -> None:
        """Without a client, use the pod's service account or the kubeconfig."""
        self.namespace = namespace
        client = client or _connect()
        self._objects = kubernetes.client.CustomObjectsApi(client)
        self._core = kubernetes.client.CoreV1Api(client)

    def get(self, kind: Kind, name: str) -> Object:
        """Return an object."""
        return self._call(f"{kind.plural}/{name}", self._objects.get_namespaced_custom_object, kind, name)

    def patch(self, kind: Kind, name: str, changes: Object) -> Object:
        """Merge changes into an object, only into its version `metadata.resourceVersion` if given."""
        return self._call(f"{kind.plural}/{name}", self._objects.patch_namespaced_custom_object, kind, name, changes)

    def replace(self, kind: Kind, name: str, content: Object) -> Object:
        """Replace the version of an object that was read."""
        return self._call(f"{kind.plural}/{name}", self._objects.replace_namespaced_custom_object, kind, name, content)

    def create(self, kind: Kind, content: Object) -> Object:
        """Create an object."""
        name = content["metadata"]["name"]
        return self._call(f"{kind.plural}/{name}", self._objects.create_namespaced_custom_object, kind, content)

    def delete(self, kind: Kind, name: str) -> None:
        """Delete an object, and what it owns in the background."""
        call = self._objects.delete_namespaced_custom_object
        self._call(f"{kind.plural}/{name}", call, kind, name, propagation_policy="Background")

    @_retried
    def pods(self, selector: str) -> list[Object]:
        """Return the pods with these labels, including terminating ones."""
        with _translated(f"pods with {selector}"):
            reply = self._core.list_namespaced_pod(
                self.namespace, label_selector=selector, _request_timeout=CALL_TIMEOUT_S, _preload_content=False
            )
            return cast(list[Object], _json(reply)["items"])

    @_retried
    def _call(self, what: str, call: Callable[..., Any], kind: Kind, *rest: Any, **options: Any) -> Object:
        place = (kind.group, kind.version, self.namespace, kind.plural)
        with _translated(f"{what} in {self.namespace}"):
            return cast(Object, call(*place, *rest, **options, _request_timeout=CALL_TIMEOUT_S))


def _connect() -> kubernetes.client.ApiClient:
    configuration = kubernetes.client.Configuration()
    try:
        kubernetes.config.load_incluster_config(client_configuration=configuration)
    except kubernetes.config.ConfigException:
        _as_kubectl(configuration)
    configuration.retries = False  # retried here, for longer
    return kubernetes.client.ApiClient(configuration)


def _as_kubectl(configuration: kubernetes.client.Configuration) -> None:
    try:
        kubernetes.config.load_kube_config(client_configuration=configuration)
    except kubernetes.config.ConfigException as error:
        raise Refused(f"Kubernetes: no service account and no kubeconfig; set KUBECONFIG: {error}") from error


def _json(reply: Any) -> Object:
    return cast(Object, reply.json())


@contextmanager
def _translated(what: str) -> Iterator[None]:
    try:
        yield
    except kubernetes.client.ApiException as error:
        kind = STATUSES.get(error.status, Unreachable if error.status >= 500 else Refused)
        raise kind(f"{what}: the Kubernetes API responds {error.status} {error.reason}: {_message(error)}") from error
    except (urllib3.exceptions.HTTPError, OSError, ValueError) as error:
        raise Unreachable(f"{what}: {type(error).__name__}: {error!s:.200}") from error


def _message(error: kubernetes.client.ApiException) -> str:
    """Return the message of the Status object in the response body."""
    try:
        return str(json.loads(error.body or "{}").get("message", ""))[:300]
    except (ValueError, AttributeError):
        return str(error.body)[:100]
