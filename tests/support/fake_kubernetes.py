"""A fake Kubernetes API over HTTP with KServe's controllers; a rollout replaces pods one by one.

`FakeKubernetes.mixed` records violations of the invariant: each ready predictor pod holds the release of each ready
fusion pod.
"""

import copy
import json
import threading
import time
from collections import Counter
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any
from urllib.parse import parse_qs, urlsplit

import kubernetes

from components.shared.rollout.inference_services import KINDS
from components.shared.rollout.placement import Placement, read

TICK_S = 0.01
REPLICAS = 2
Object = dict[str, Any]


@dataclass
class FakeKubernetes:
    """Objects and pods of the cluster, and the failures to inject."""

    url: str = ""
    objects: dict[tuple[str, str], Object] = field(default_factory=dict)
    pods: dict[str, Object] = field(default_factory=dict)
    refused: set[str] = field(default_factory=set)
    """Releases whose bundle a server rejects."""
    stuck: set[str] = field(default_factory=set)
    """Releases whose pods never become ready."""
    sleeping: bool = False
    """Whether the controller of KServe is stopped."""
    away: int = 0
    """How many of the next requests get status 503."""
    forbidden: set[str] = field(default_factory=set)
    """Plural names of resources that are forbidden for this account."""
    invalid: set[str] = field(default_factory=set)
    """Plural names of resources whose new objects are rejected."""
    mixed: list[str] = field(default_factory=list)
    requests: Counter[str] = field(default_factory=Counter)
    lock: threading.RLock = field(default_factory=threading.RLock)
    _count: int = 0

    def client(self) -> kubernetes.client.ApiClient:
        configuration = kubernetes.client.Configuration(host=self.url)
        configuration.retries = False
        return kubernetes.client.ApiClient(configuration)

    def add(self, plural: str, name: str, **content: Any) -> None:
        with self.lock:
            self.objects[plural, name] = content | {"metadata": {"name": name, "generation": 1}}
            self._touch(self.objects[plural, name])

    def add_services(self) -> None:
        """Add the InferenceServices of the manifests, which wait for their first release."""
        for name in KINDS:
            self.add("inferenceservices", name, spec={"predictor": {"containers": []}})

    def placement(self, name: str) -> Placement:
        with self.lock:
            return read(self.objects["inferenceservices", name]["spec"]["predictor"].get("annotations"))

    def uris(self, name: str) -> list[dict[str, str]]:
        found: list[dict[str, str]] = self.objects["inferenceservices", name]["spec"]["predictor"].get("storageUris")
        return found or []

    def serving(self, name: str) -> set[str]:
        """Return the releases that the ready pods of a service serve."""
        with self.lock:
            return {read(pod["metadata"]["annotations"]).current for pod in self._pods_of(name) if _is_ready(pod)}

    # Controllers and kubelet --------------------------------------------------------------------------------------

    def tick(self) -> None:
        with self.lock:
            for name in KINDS:
                if ("inferenceservices", name) in self.objects and not self.sleeping:
                    self._reconcile(name)
            for name in KINDS:
                self._roll(name)
            self._compare()

    def _reconcile(self, name: str) -> None:
        service = self.objects["inferenceservices", name]
        annotations = dict(service["spec"]["predictor"].get("annotations") or {})
        deployment = self.objects.get(("deployments", f"{name}-predictor"))
        if deployment is None:
            template = {"metadata": {"annotations": annotations}}
            self.add("deployments", f"{name}-predictor", spec={"replicas": REPLICAS, "template": template}, status={})
        elif deployment["spec"]["template"]["metadata"]["annotations"] != annotations:
            deployment["spec"]["template"]["metadata"]["annotations"] = annotations
            deployment["metadata"]["generation"] += 1
        ready = any(map(_is_ready, self._pods_of(name)))
        service["status"] = {"conditions": [{"type": "Ready", "status": str(ready)}]}
        self._touch(service)  # controllers update the status continuously

    def _roll(self, name: str) -> None:
        deployment = self.objects.get(("deployments", f"{name}-predictor"))
        if deployment is None:
            return
        wanted = deployment["spec"]["template"]["metadata"]["annotations"]
        deployment["status"] = {"observedGeneration": deployment["metadata"]["generation"]}
        for pod in [pod for pod in self._pods_of(name) if pod["metadata"].get("deletionTimestamp")]:
            del self.pods[pod["metadata"]["name"]]
        new = [pod for pod in self._pods_of(name) if pod["metadata"]["annotations"] == wanted]
        old = [pod for pod in self._pods_of(name) if pod["metadata"]["annotations"] != wanted]
        for pod in new:
            self._start(pod)
        ready_old = [pod for pod in old if _is_ready(pod)]
        for pod in old:
            if not _is_ready(pod) or len(ready_old) > REPLICAS - sum(map(_is_ready, new)):
                pod["metadata"]["deletionTimestamp"] = "now"
                ready_old = [one for one in ready_old if one is not pod]
        if len(new) < REPLICAS and all(map(_is_ready, new)):
            self._make(name, wanted)

    def _make(self, name: str, annotations: dict[str, str]) -> None:
        self._count += 1
        pod = f"{name}-{self._count}"
        labels = {"serving.kserve.io/inferenceservice": name}
        self.pods[pod] = {
            "metadata": {"name": pod, "labels": labels, "annotations": copy.deepcopy(annotations)},
            "status": {"phase": "Pending"},
        }

    def _start(self, pod: Object) -> None:
        if _is_ready(pod):
            return
        release = read(pod["metadata"]["annotations"]).current
        status = pod["status"] = {"phase": "Running", "conditions": [{"type": "Ready", "status": "False"}]}
        if release in self.refused:
            last = {"terminated": {"exitCode": 78, "message": "weights.npz: sha256 is wrong"}}
            state = {"waiting": {"reason": "CrashLoopBackOff"}}
            status["containerStatuses"] = [{"name": "kserve-container", "state": state, "lastState": last}]
        elif release in self.stuck:
            state = {"waiting": {"reason": "ImagePullBackOff", "message": "no such image"}}
            status["containerStatuses"] = [{"name": "kserve-container", "state": state}]
        elif release:
            status["conditions"] = [{"type": "Ready", "status": "True"}]

    def _compare(self) -> None:
        fusion_pods = [pod for pod in self._pods_of("fusion-transformer") if _is_ready(pod)]
        for pod in fusion_pods:
            release = read(pod["metadata"]["annotations"]).current
            for name in ("text-predictor", "image-predictor"):
                placements = [read(one["metadata"]["annotations"]) for one in self._pods_of(name) if _is_ready(one)]
                if not placements or any(release not in one.held for one in placements):
                    self.mixed.append(f"{pod['metadata']['name']} calls {name} for {release}")

    def _pods_of(self, name: str) -> list[Object]:
        label = "serving.kserve.io/inferenceservice"
        return [pod for pod in self.pods.values() if pod["metadata"]["labels"].get(label) == name]

    def _touch(self, thing: Object) -> None:
        self._count += 1
        thing["metadata"]["resourceVersion"] = str(self._count)

    # API server -----------------------------------------------------------------------------------------------------

    def respond(self, method: str, path: str, body: Object) -> tuple[int, Object]:
        url = urlsplit(path)
        parts = url.path.strip("/").split("/")
        with self.lock:
            self.requests[method] += 1
            if self.away:
                self.away -= 1
                return 503, {"message": "the server is shutting down"}
            if parts[:2] == ["api", "v1"] and parts[-1] == "pods":
                if "pods" in self.forbidden:
                    return 403, {"message": "pods is forbidden"}
                key, _, value = parse_qs(url.query)["labelSelector"][0].partition("=")
                found = [pod for pod in self.pods.values() if pod["metadata"]["labels"].get(key) == value]
                return 200, {"items": found}
            plural, name = (parts[5], parts[6] if len(parts) > 6 else "")
            if plural in self.forbidden:
                return 403, {"message": f"{plural} is forbidden"}
            if method == "POST":
                return self._create(plural, body)
            thing = self.objects.get((plural, name))
            if thing is None:
                return 404, {"message": f'{plural} "{name}" not found'}
            if method == "GET":
                return 200, thing
            if method == "DELETE":
                return 200, self.objects.pop((plural, name))
            return self._change(method, plural, name, body)

    def _create(self, plural: str, body: Object) -> tuple[int, Object]:
        name = body["metadata"]["name"]
        if plural in self.invalid:
            return 422, {"message": f"{name} is invalid"}
        if (plural, name) in self.objects:
            return 409, {"message": f'{plural} "{name}" already exists'}
        self.add(plural, name, **{key: value for key, value in body.items() if key != "metadata"})
        self.objects[plural, name]["metadata"] |= body["metadata"]
        return 201, self.objects[plural, name]

    def _change(self, method: str, plural: str, name: str, body: Object) -> tuple[int, Object]:
        thing = self.objects[plural, name]
        body = {"metadata": {}} | body
        version = body["metadata"].pop("resourceVersion", None)
        if version is not None and version != thing["metadata"]["resourceVersion"]:
            return 409, {"message": "the object has been modified"}
        before = copy.deepcopy(thing.get("spec"))
        changed = body if method == "PUT" else merge(thing, body)
        changed["metadata"] = thing["metadata"] | changed["metadata"]
        changed["metadata"]["generation"] += changed.get("spec") != before
        self.objects[plural, name] = changed
        self._touch(changed)
        return 200, changed


def merge(thing: Any, changes: Any) -> Any:
    """Apply a JSON merge patch (RFC 7396): null deletes, lists are replaced."""
    if not isinstance(changes, dict):
        return changes
    merged = dict(thing) if isinstance(thing, dict) else {}
    for key, value in changes.items():
        if value is None:
            merged.pop(key, None)
        else:
            merged[key] = merge(merged.get(key), value)
    return merged


def _is_ready(pod: Object) -> bool:
    conditions = pod["status"].get("conditions", [])
    is_deleted = "deletionTimestamp" in pod["metadata"]
    return not is_deleted and any(one["type"] == "Ready" and one["status"] == "True" for one in conditions)


@contextmanager
def fake_kubernetes() -> Iterator[FakeKubernetes]:
    """Serve the API on a free port and run the controllers in a thread."""
    cluster = FakeKubernetes()

    class Handler(BaseHTTPRequestHandler):
        protocol_version = "HTTP/1.1"
        disable_nagle_algorithm = True

        def _serve(self) -> None:
            body = json.loads(self.rfile.read(int(self.headers["content-length"] or 0)) or b"{}")
            status, response = cluster.respond(self.command, self.path, body)
            with cluster.lock:
                data = json.dumps(response).encode()
            self.send_response(status)
            self.send_header("content-type", "application/json")
            self.send_header("content-length", str(len(data)))
            self.end_headers()
            self.wfile.write(data)

        do_GET = do_POST = do_PUT = do_PATCH = do_DELETE = _serve  # noqa: N815

        def log_message(self, *_: object) -> None:
            """Log nothing."""

    stopped = threading.Event()

    def run_controllers() -> None:
        while not stopped.wait(TICK_S):
            cluster.tick()

    with ThreadingHTTPServer(("127.0.0.1", 0), Handler) as server:
        server.daemon_threads = True
        threads = [
            threading.Thread(target=server.serve_forever, args=(0.02,)),
            threading.Thread(target=run_controllers),
        ]
        cluster.url = f"http://127.0.0.1:{server.server_port}"
        for thread in threads:
            thread.start()
        try:
            yield cluster
        finally:
            stopped.set()
            server.shutdown()
            for thread in threads:
                thread.join()


def wait_until(condition: Any, seconds: float = 10.0) -> None:
    end = time.monotonic() + seconds
    while not condition():
        assert time.monotonic() < end
        time.sleep(TICK_S)
