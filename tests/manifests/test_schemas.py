"""Tests that all objects are valid for the schemas of Kubernetes and of the custom resources.

Without kubectl or kustomize, only the files of base/ are validated, as they are.
"""

import json
from functools import cache
from pathlib import Path

import jsonschema
import kubernetes_validate
import pytest
import yaml

from tests.manifests.make_schema import SCHEMAS
from tests.support.rendering import MANIFESTS, OVERLAYS, Object, overlay

OLDEST, NEWEST = "1.32", "1.35"
"""The oldest supported version of Kubernetes, and the version in platform/kind.yaml."""
WITHOUT_SCHEMA = {"ClusterStorageContainer"}
BASE = sorted(
    path for path in (MANIFESTS / "base").rglob("*.yaml") if path.name not in {"kustomization.yaml", "names.yaml"}
)


@cache
def custom_resource(kind: str, version: str) -> jsonschema.Draft202012Validator | None:
    """Return the validator of a custom resource; None for a kind of Kubernetes itself."""
    path = SCHEMAS / f"{kind.lower()}-{version}.json"
    return jsonschema.Draft202012Validator(json.loads(path.read_text(encoding="utf-8"))) if path.exists() else None


def validation_error(one: Object, version: str) -> str:
    """Return the validation error of an object; an empty string if it is valid."""
    if one["kind"] in WITHOUT_SCHEMA:
        return ""
    if (schema := custom_resource(one["kind"], one["apiVersion"].rpartition("/")[2])) is not None:
        return "; ".join(error.message[:200] for error in schema.iter_errors(one))
    try:
        kubernetes_validate.validate(one, version, strict=True)
    except kubernetes_validate.ValidationError as error:
        return f"{'.'.join(map(str, error.path))}: {error.message[:200]}"
    return ""


def names(path: Path) -> str:
    return str(path.relative_to(MANIFESTS / "base"))


@pytest.mark.parametrize("path", BASE, ids=names)
def test_every_file_of_the_base_is_valid(path: Path) -> None:
    objects = [one for one in yaml.safe_load_all(path.read_text(encoding="utf-8")) if one]

    assert objects
    assert [] == [error for one in objects if (error := validation_error(one, NEWEST))]


@pytest.mark.parametrize("version", [OLDEST, NEWEST])
@pytest.mark.parametrize("name", OVERLAYS)
def test_every_overlay_is_valid(name: str, version: str) -> None:
    errors = {one["metadata"]["name"]: error for one in overlay(name) if (error := validation_error(one, version))}

    assert {} == errors


@pytest.mark.parametrize(
    ("change", "message"),
    [
        ({"replica": 2}, "replica"),
        ({"replicas": "two"}, "two"),
        ({"minReadySeconds": 1, "paused": "no"}, "no"),
    ],
)
def test_an_invalid_field_is_found(change: Object, message: str) -> None:
    deployment = yaml.safe_load((MANIFESTS / "base/mlflow/deployment.yaml").read_text(encoding="utf-8"))
    deployment["spec"] |= change

    assert message in validation_error(deployment, NEWEST)


def test_an_unknown_field_of_an_inference_service_is_found() -> None:
    service = yaml.safe_load((MANIFESTS / "base/text-predictor/inferenceservice.yaml").read_text(encoding="utf-8"))
    service["spec"]["predictor"]["containers"][0]["imagePulPolicy"] = "Always"
    service["spec"]["predictor"]["minReplica"] = 1

    error = validation_error(service, NEWEST)
    assert "imagePulPolicy" in error
    assert "minReplica" in error
