"""The Secrets of a deployment: made once, from random bytes, in the cluster itself; never on disk.

What is there stays as it is, so a deployment with keys of its own (an External Secret, another S3 store) is respected.
"""

import base64
import json
import secrets
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any
from urllib.parse import urlsplit

from operations.cluster.commands import Commands

NAMESPACE = "product-classifier"
KUBEFLOW = "kubeflow"
STORE = "object-store"
ROLES = ("user", "reviewer", "admin")
LABELS = {"app.kubernetes.io/part-of": NAMESPACE}


@dataclass(frozen=True, slots=True)
class Secret:
    """One Secret as it shall be."""

    name: str
    values: Mapping[str, str]
    annotations: Mapping[str, str] = field(default_factory=dict)


def make_secrets(commands: Commands, endpoint: str) -> None:
    """Make what is missing. `endpoint` is where the object store answers."""
    known = _known(commands, NAMESPACE)
    keys = known.get(STORE) or {"access-key": secrets.token_hex(10), "secret-key": secrets.token_urlsafe(30)}
    wanted = (
        Secret(STORE, keys),
        _model_reader(keys, endpoint),
        Secret("internal-token", {"token": secrets.token_urlsafe(48)}),
        Secret("demo-accounts", {"accounts.json": json.dumps(_accounts(), indent=2)}),
    )
    for secret in wanted:
        if secret.name not in known:
            _apply(commands, NAMESPACE, "Secret", secret)
            commands.say(f"secret {secret.name} made")


def share_with_kubeflow(commands: Commands, endpoint: str) -> None:
    """Give the pipeline's pods, which run in Kubeflow's namespace, the keys of the store and its address."""
    keys = _known(commands, NAMESPACE)[STORE]
    _apply(commands, KUBEFLOW, "Secret", Secret(STORE, keys))
    _apply(commands, KUBEFLOW, "ConfigMap", Secret(STORE, {"endpoint": endpoint}))


def _model_reader(keys: Mapping[str, str], endpoint: str) -> Secret:
    """Return the Secret in the form that KServe's storage initializer reads."""
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


def _accounts() -> dict[str, dict[str, str]]:
    return {f"demo-{role}": {"password": secrets.token_urlsafe(16), "role": role} for role in ROLES}


def _known(commands: Commands, namespace: str) -> dict[str, dict[str, str]]:
    found = commands.get("secrets", "--namespace", namespace) or {"items": []}
    return {item["metadata"]["name"]: _decoded(item.get("data") or {}) for item in found["items"]}


def _decoded(data: Mapping[str, str]) -> dict[str, str]:
    return {name: base64.b64decode(value).decode(errors="replace") for name, value in data.items()}


def _apply(commands: Commands, namespace: str, kind: str, wanted: Secret) -> None:
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
    # Server-side, for the client would leave a copy of the values in an annotation.
    commands.kubectl("apply", "--server-side", "--force-conflicts", "-f", "-", given=json.dumps(manifest))
