"""What is applied fits the schemas of the API: Kubernetes' own, and that of KServe's InferenceService (make_schema.py).

Where nothing can render overlays, the files of base/ are looked at as they are.
"""

import json
from functools import cache
from pathlib import Path

import jsonschema
import kubernetes_validate
import pytest
import yaml

from tests.manifests.make_schema import SCHEMA
from tests.support.rendering import MANIFESTS, OVERLAYS, Object, overlay

OLDEST, NEWEST = "1.32", "1.35"
"""The first Kubernetes we promise to run on, and the one in platform/kind.yaml."""
WITHOUT_SCHEMA = {"ClusterStorageContainer"}
BASE = sorted(
    path for path in (MANIFESTS / "base").rglob("*.yaml") if path.name not in {"kustomization.yaml", "names.yaml"}
)


@cache
def inference_service() -> jsonschema.Draft202012Validator:
    return jsonschema.Draft202012Validator(json.loads(SCHEMA.read_text(encoding="utf-8")))


def complaint(one: Object, version: str) -> str:
    """Return what the API would say about an object; nothing when it fits."""
    if one["kind"] in WITHOUT_SCHEMA:
        return ""
    if one["kind"] == "InferenceService":
        return "; ".join(error.message[:200] for error in inference_service().iter_errors(one))
    try:
        kubernetes_validate.validate(one, version, strict=True)
    except kubernetes_validate.ValidationError as error:
        return f"{'.'.join(map(str, error.path))}: {error.message[:200]}"
    return ""


def names(path: Path) -> str:
    return str(path.relative_to(MANIFESTS / "base"))


@pytest.mark.parametrize("path", BASE, ids=names)
def test_every_file_of_the_base_fits_the_schema(path: Path) -> None:
    objects = [one for one in yaml.safe_load_all(path.read_text(encoding="utf-8")) if one]

    assert objects
    assert [] == [said for one in objects if (said := complaint(one, NEWEST))]


@pytest.mark.parametrize("version", [OLDEST, NEWEST])
@pytest.mark.parametrize("name", OVERLAYS)
def test_every_overlay_fits_the_schema(name: str, version: str) -> None:
    wrong = {one["metadata"]["name"]: said for one in overlay(name) if (said := complaint(one, version))}

    assert {} == wrong


@pytest.mark.parametrize(
    ("change", "said"),
    [
        ({"replica": 2}, "replica"),
        ({"replicas": "two"}, "two"),
        ({"minReadySeconds": 1, "paused": "no"}, "no"),
    ],
)
def test_a_slip_is_found(change: Object, said: str) -> None:
    deployment = yaml.safe_load((MANIFESTS / "base/mlflow/deployment.yaml").read_text(encoding="utf-8"))
    deployment["spec"] |= change

    assert said in complaint(deployment, NEWEST)


def test_a_slip_in_an_inference_service_is_found() -> None:
    service = yaml.safe_load((MANIFESTS / "base/text-predictor/inferenceservice.yaml").read_text(encoding="utf-8"))
    service["spec"]["predictor"]["containers"][0]["imagePulPolicy"] = "Always"
    service["spec"]["predictor"]["minReplica"] = 1

    said = complaint(service, NEWEST)
    assert "imagePulPolicy" in said
    assert "minReplica" in said
