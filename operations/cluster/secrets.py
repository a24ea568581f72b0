"""Create the Secrets of a deployment from random bytes, once, in the cluster and never on disk.

An existing Secret is not changed, so an External Secret or the keys of another S3 store can be used instead.
"""

import base64
import json
import secrets
from collections.abc import Collection, Mapping
from dataclasses import dataclass, field
from typing import Any
from urllib.parse import urlsplit

from operations.cluster.command_runner import CommandRunner
from product_classifier.errors import ProductClassifierError

NAMESPACE = "product-classifier"
KUBEFLOW = "kubeflow"
STORE = "object-store"
ROLES = ("user", "reviewer", "admin")
LABELS = {"app.kubernetes.io/part-of": NAMESPACE}


@dataclass(frozen=True, slots=True)
class Secret:
    """The name, values and annotations of a Secret or ConfigMap."""

    name: str
    values: Mapping[str, str]
    annotations: Mapping[str, str] = field(default_factory=dict)


class MissingKeys(ProductClassifierError):
    """The object store is outside the cluster, and its keys are not in the cluster."""


def create_secrets(runner: CommandRunner, endpoint: str, names: Collection[str]) -> None:
    """Create those of the Secrets `names` that are missing; `endpoint` is the URL of the object store.

    Raises:
        MissingKeys: If the store is outside the cluster and its Secret does not exist.
    """
    known = _existing(runner, NAMESPACE)
    if STORE in names and STORE not in known and not _is_in_cluster(endpoint):
        raise MissingKeys(
            f"Secret {STORE!r}: is missing, and the store is {endpoint}; create it with the keys access-key and "
            "secret-key of that store"
        )
    keys = known.get(STORE) or {"access-key": secrets.token_hex(10), "secret-key": secrets.token_urlsafe(30)}
    wanted = (
        Secret(STORE, keys),
        _model_reader(keys, endpoint),
        Secret("internal-token", {"token": secrets.token_urlsafe(48)}),
        Secret("demo-accounts", {"accounts.json": json.dumps(demo_accounts(), indent=2)}),
    )
    for secret in wanted:
        if secret.name in names and secret.name not in known:
            _apply(runner, NAMESPACE, "Secret", secret)
            runner.report(f"secret {secret.name} created")


def share_keys(runner: CommandRunner, namespace: str) -> None:
    """Copy the keys of the store to a namespace in which the pods of the pipeline run."""
    keys = _existing(runner, NAMESPACE)[STORE]
    _apply(runner, namespace, "Secret", Secret(STORE, keys))


def _is_in_cluster(endpoint: str) -> bool:
    host = urlsplit(endpoint).hostname or ""
    return "." not in host or host.endswith(".svc.cluster.local")


def _model_reader(keys: Mapping[str, str], endpoint: str) -> Secret:
    """Return the Secret in the format of KServe's storage initializer."""
    parts = urlsplit(endpoint)
    is_encrypted = "1" if parts.scheme == "https" else "0"
    return Secret(
        "model-reader",
        {"AWS_ACCESS_KEY_ID": keys["access-key"], "AWS_SECRET_ACCESS_KEY": keys["secret-key"]},
        {
            "serving.kserve.io/s3-endpoint": parts.netloc,
            "serving.kserve.io/s3-usehttps": is_encrypted,
            "serving.kserve.io/s3-verifyssl": is_encrypted,
            "serving.kserve.io/s3-region": "us-east-1",
            "serving.kserve.io/s3-usevirtualbucket": "false",
        },
    )


def demo_accounts() -> dict[str, dict[str, str]]:
    """Return an account of each role with a random password, `{name: {password, role}}`."""
    return {f"demo-{role}": {"password": secrets.token_urlsafe(16), "role": role} for role in ROLES}


def _existing(runner: CommandRunner, namespace: str) -> dict[str, dict[str, str]]:
    found = runner.get("secrets", "--namespace", namespace) or {"items": []}
    return {item["metadata"]["name"]: _decoded(item.get("data") or {}) for item in found["items"]}


def _decoded(data: Mapping[str, str]) -> dict[str, str]:
    return {name: base64.b64decode(value).decode(errors="replace") for name, value in data.items()}


def _apply(runner: CommandRunner, namespace: str, kind: str, wanted: Secret) -> None:
    manifest: dict[str, Any] = {
        "apiVersion": "v1",
        "kind": kind,
        "metadata": {
            "name": wanted.name,
            "namespace": namespace,
            "labels": LABELS,
            "annotations": dict(wanted.annotations),
        },
        "stringData" if kind == "Secret" else "data": dict(wanted.values),
    }
    # Client-side apply would store a copy of the values in an annotation.
    runner.kubectl("apply", "--server-side", "--force-conflicts", "-f", "-", stdin=json.dumps(manifest))
