"""The folder of a deployment by compose: secrets from random bytes, and a folder per service.

A secret from a file keeps the owner and the mode of that file in the container, so the services run as the owner of
the folder. Started by root, the owner is the numeric user of the images, and the files are given to it.
"""

import json
import os
import secrets
from collections.abc import Mapping
from pathlib import Path

from operations.cluster.secrets import demo_accounts
from product_classifier.errors import ProductClassifierError

IMAGE_USER = 10001
"""User of the images (`USER` in the Dockerfiles)."""
SECRETS = "secrets"
ACCOUNTS = "accounts.json"
ENVIRONMENT = "environment"
FOLDERS = (
    "auth-proxy",
    "feedback-service",
    "grafana",
    "object-store",
    "postgres",
    "prometheus",
    "releases",
    "training/tmp",
)


class IncompleteSecrets(ProductClassifierError):
    """Some secrets of a deployment are missing, so new ones would not fit the data."""


def prepare(folder: Path, variables: Mapping[str, str]) -> Path:
    """Create what is missing of the folder; return the file with the variables of the compose file.

    Raises:
        IncompleteSecrets: If some of the secret files exist and others do not.
    """
    owner = os.geteuid() or IMAGE_USER
    group = os.getegid() or IMAGE_USER
    paths = [folder, folder / SECRETS, *(folder / name for name in FOLDERS), folder / "training"]
    for path in paths:
        path.mkdir(mode=0o700, parents=True, exist_ok=True)
    _write_secrets(folder / SECRETS)
    environment = folder / ENVIRONMENT
    values = {"OWNER": f"{owner}:{group}", "STATE": str(folder.resolve()), **variables}
    environment.write_text("".join(f"{name}={value}\n" for name, value in values.items()), encoding="utf-8")
    if os.geteuid() == 0:
        for path in [*paths, *(folder / SECRETS).iterdir()]:
            os.chown(path, owner, group)
    return environment


def secret_values() -> dict[str, str]:
    """Return the content of every secret file of docker/compose.yaml, made from random bytes."""
    access, secret = secrets.token_hex(10), secrets.token_urlsafe(30)
    token, database = secrets.token_urlsafe(48), secrets.token_urlsafe(24)
    identity = {
        "name": "product-classifier",
        "credentials": [{"accessKey": access, "secretKey": secret}],
        "actions": ["Admin", "Read", "Write", "List", "Tagging"],
    }
    return {
        "access-key": access,
        "secret-key": secret,
        "internal-token": token,
        ACCOUNTS: json.dumps(demo_accounts(), indent=2),
        "minio.env": f"MINIO_ROOT_USER={access}\nMINIO_ROOT_PASSWORD={secret}\n"
        f"MINIO_NOTIFY_WEBHOOK_AUTH_TOKEN_RETRAIN={token}\n",
        "seaweedfs.json": json.dumps({"identities": [identity]}),
        "aws-credentials": f"[default]\naws_access_key_id = {access}\naws_secret_access_key = {secret}\n",
        "postgres-password": database,
        "mlflow-database": f"postgresql+pg8000://mlflow:{database}@postgres:5432/mlflow",
        "grafana-password": secrets.token_urlsafe(16),
    }


def _write_secrets(folder: Path) -> None:
    """Write the secrets unless they exist; values depend on each other, so all or none are made."""
    values = secret_values()
    missing = sorted(name for name in values if not (folder / name).exists())
    if not missing:
        return
    if len(missing) < len(values):
        raise IncompleteSecrets(f"{folder}: {', '.join(missing)} is missing; restore it from a backup of the folder")
    for name, value in values.items():
        descriptor = os.open(folder / name, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o400)
        with os.fdopen(descriptor, "w", encoding="utf-8") as file:
            file.write(value)
