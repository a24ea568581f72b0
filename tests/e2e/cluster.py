"""Access to the deployed product: kubectl, forwarded ports, accounts and object store."""

import base64
import json
import re
import subprocess
import tempfile
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from functools import cached_property
from pathlib import Path
from typing import Any

import httpx

from components.shared.kubernetes_api import ClusterApi
from components.shared.published_releases import fetch_release
from components.shared.rollout.kserve_rollout import KServeRollout
from components.shared.serving_check import ReleaseModels
from product_classifier.releases.release import MANIFEST
from product_classifier.store import ObjectStore, StoreSettings, open_store

NAMESPACE = "product-classifier"
STORE = "s3://product-classifier"
Object = dict[str, Any]


def kubectl(*arguments: str, stdin: str | None = None, namespace: str = NAMESPACE) -> str:
    """Run kubectl in the current context; fail the test with its error output."""
    command = ["kubectl", "--namespace", namespace, *arguments]
    done = subprocess.run(command, input=stdin, capture_output=True, text=True, check=False)
    assert done.returncode == 0, f"{' '.join(arguments)}: {done.stderr.strip()}"
    return done.stdout


def get(*arguments: str, namespace: str = NAMESPACE) -> Object:
    found = kubectl("get", *arguments, "--ignore-not-found", "--output=json", namespace=namespace)
    return json.loads(found) if found.strip() else {}


def listed(*arguments: str, namespace: str = NAMESPACE) -> list[Object]:
    found: list[Object] = get(*arguments, namespace=namespace).get("items", [])
    return found


@contextmanager
def forwarded(target: str, port: int) -> Iterator[str]:
    """Forward a free local port to a pod or to one pod of a Service; yield host and port."""
    command = ["kubectl", "--namespace", NAMESPACE, "port-forward", target, f":{port}"]
    with subprocess.Popen(command, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True) as process:
        try:
            assert process.stdout is not None
            line = process.stdout.readline()
            found = re.search(r"127\.0\.0\.1:(\d+) ->", line)
            assert found, f"{target}: {line}{process.stdout.read() if process.poll() is not None else ''}"
            yield f"127.0.0.1:{found[1]}"
        finally:
            process.terminate()


def secret(name: str) -> dict[str, str]:
    return {key: base64.b64decode(value).decode() for key, value in get("secret", name)["data"].items()}


def until(condition: Callable[[], Any], seconds: float, about: str = "") -> Any:
    """Poll a condition; return its first true result, or fail the test after a timeout."""
    end = time.monotonic() + seconds
    while not (found := condition()):
        assert time.monotonic() < end, f"{about or 'the condition'} did not happen within {seconds:.0f} s"
        time.sleep(1)
    return found


@dataclass
class Product:
    """The deployed product: gateway, object store, rollout, and its releases as local models."""

    url: str
    store: ObjectStore
    folder: Path
    models: dict[str, ReleaseModels] = field(default_factory=dict)
    tokens: dict[str, str] = field(default_factory=dict)

    @cached_property
    def accounts(self) -> dict[str, dict[str, str]]:
        found: dict[str, dict[str, str]] = json.loads(secret("demo-accounts")["accounts.json"])
        return found

    @cached_property
    def rollout(self) -> KServeRollout:
        return KServeRollout(ClusterApi(NAMESPACE), f"{STORE}/models", is_published=self._is_published)

    @property
    def current(self) -> str:
        found = self.rollout.current()
        assert found, "there is no champion"
        return found

    def client(self, role: str) -> httpx.Client:
        """Return a client that carries the token of a demo account."""
        if role not in self.tokens:
            name = f"demo-{role}"
            form = {"username": name, "password": self.accounts[name]["password"]}
            reply = httpx.post(f"{self.url}/token", data=form, timeout=30).raise_for_status()
            self.tokens[role] = reply.json()["access_token"]
        return httpx.Client(base_url=self.url, headers={"Authorization": f"Bearer {self.tokens[role]}"}, timeout=60)

    def model(self, release: str) -> ReleaseModels:
        """Return the models of a published release, in this process."""
        if release not in self.models:
            self.models[release] = ReleaseModels(fetch_release(self.store, release, self.folder).path)
        return self.models[release]

    def delete(self, release: str) -> None:
        """Delete a release from the store, its manifest first."""
        for key in [f"models/{release}/{MANIFEST}", *self.store.list(f"models/{release}/")]:
            self.store.delete(key)

    def _is_published(self, release: str) -> bool:
        return self.store.exists(f"models/{release}/{MANIFEST}")

    def published(self) -> list[str]:
        keys = self.store.list("models/")
        return sorted(key.split("/")[1] for key in keys if key.count("/") == 2 and key.endswith("/release.json"))


@contextmanager
def object_store() -> Iterator[StoreSettings]:
    """Forward a port to the deployed object store; yield its settings."""
    keys = secret("object-store")
    with forwarded("service/object-store", 9000) as address:
        yield StoreSettings(
            s3_endpoint=f"http://{address}",
            aws_access_key_id=keys["access-key"],
            aws_secret_access_key=keys["secret-key"],
        )


@contextmanager
def bucket(name: str) -> Iterator[ObjectStore]:
    """Create a separate bucket."""
    with object_store() as settings:
        yield open_store(f"s3://{name}", settings, create=True)


@contextmanager
def product() -> Iterator[Product]:
    """Forward ports to the gateway and the object store."""
    with (
        forwarded("service/auth-proxy", 80) as gateway,
        object_store() as settings,
        tempfile.TemporaryDirectory() as folder,
    ):
        yield Product(f"http://{gateway}", open_store(STORE, settings), Path(folder))


def pods(name: str) -> list[Object]:
    """Return the pods of an InferenceService that are not being deleted."""
    found = listed("pods", f"--selector=serving.kserve.io/inferenceservice={name}")
    return [pod for pod in found if "deletionTimestamp" not in pod["metadata"]]


def is_ready(thing: Object) -> bool:
    conditions = thing.get("status", {}).get("conditions", [])
    return any(one["type"] == "Ready" and one["status"] == "True" for one in conditions)


def start_job(
    template: str, name: str, *, args: list[str] | None = None, command: list[str] | None = None, **environment: str
) -> None:
    """Create a Job from a suspended CronJob, with other arguments or environment variables.

    With another `command` the pod gets the label `stranger`, which no network policy allows.
    """
    job = json.loads(kubectl("create", "job", name, f"--from=cronjob/{template}", "--dry-run=client", "--output=json"))
    container = job["spec"]["template"]["spec"]["containers"][0]
    if command is not None:
        container |= {"command": command, "args": []}
        job["spec"]["template"]["metadata"]["labels"] = {"app.kubernetes.io/name": "stranger"}
    elif args is not None:
        container["args"] = args
    others = [one for one in container.get("env", []) if one["name"] not in environment]
    container["env"] = others + [{"name": key, "value": value} for key, value in environment.items()]
    kubectl("apply", "--filename=-", stdin=json.dumps(job))


def finish_job(name: str, seconds: float) -> str:
    """Wait for a Job and return its log; fail the test if the Job failed."""

    def over() -> str:
        conditions = get("job", name).get("status", {}).get("conditions", [])
        ends = [one["type"] for one in conditions if one["status"] == "True" and one["type"] in {"Complete", "Failed"}]
        return ends[0] if ends else ""

    end = until(over, seconds, f"the end of job {name}")
    log = kubectl("logs", f"job/{name}", "--tail=200")
    assert end == "Complete", log
    return log
