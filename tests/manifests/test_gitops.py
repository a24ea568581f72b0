"""Argo CD and Flux leave what a promotion writes, and exactly that."""

import json
from pathlib import Path
from typing import Any

import jsonschema
import pytest
import yaml

from components.shared.rollout.placement import CANARY, SHADOW, SHARE, Placement
from tests.manifests.make_schema import SCHEMAS
from tests.support.rendering import MANIFESTS, OVERLAYS, Object, overlay

GITOPS = MANIFESTS / "gitops"
PLACEMENTS = (
    Placement("r-1", ("r-1",)),
    Placement("r-2", ("r-2", "r-1")),
    Placement("r-1", ("r-1", "r-2"), {CANARY: "r-2", SHARE: "0.1"}),
    Placement("r-1", ("r-1", "r-2"), {SHADOW: "r-2"}),
    Placement(),
)
WRITTEN = {name for one in PLACEMENTS for name in one.fields("s3://product-classifier/models", "text")}
"""Fields of a predictor that a promotion, a canary and their end write."""


def read(name: str) -> list[Object]:
    return list(yaml.safe_load_all((GITOPS / name).read_text(encoding="utf-8")))


APPLICATION = read("argocd/application.yaml")[0]
REPOSITORY, KUSTOMIZATION = read("flux/product-classifier.yaml")


def test_argo_cd_ignores_exactly_what_a_promotion_writes() -> None:
    (ignored,) = APPLICATION["spec"]["ignoreDifferences"]

    assert ("serving.kserve.io", "InferenceService") == (ignored["group"], ignored["kind"])
    assert {f"/spec/predictor/{name}" for name in WRITTEN} == set(ignored["jsonPointers"])
    # Without it, a synchronization for another reason would write the fields that are ignored.
    assert "RespectIgnoreDifferences=true" in APPLICATION["spec"]["syncPolicy"]["syncOptions"]


@pytest.mark.parametrize("name", OVERLAYS)
def test_no_overlay_sets_what_a_promotion_writes(name: str) -> None:
    """So server-side apply, which Flux uses, owns none of it and resets none of it."""
    for one in overlay(name):
        if one["kind"] == "InferenceService":
            assert set() == WRITTEN & set(one["spec"]["predictor"])


@pytest.mark.parametrize("name", OVERLAYS)
@pytest.mark.parametrize("placement", PLACEMENTS)
def test_after_a_promotion_the_ignored_fields_are_the_only_difference(name: str, placement: Placement) -> None:
    pointers = APPLICATION["spec"]["ignoreDifferences"][0]["jsonPointers"]
    for wanted in (one for one in overlay(name) if one["kind"] == "InferenceService"):
        live = json.loads(json.dumps(wanted))
        live["spec"]["predictor"] |= placement.fields("s3://product-classifier/models", "text")

        assert without(pointers, wanted) == without(pointers, live)


def test_the_application_is_valid() -> None:
    schema = json.loads((SCHEMAS / "application-v1alpha1.json").read_text(encoding="utf-8"))

    assert [] == [error.message for error in jsonschema.Draft202012Validator(schema).iter_errors(APPLICATION)]


@pytest.mark.parametrize(
    ("path", "patches"),
    [
        (APPLICATION["spec"]["source"]["path"], APPLICATION["spec"]["source"]["kustomize"]["patches"]),
        (KUSTOMIZATION["spec"]["path"], KUSTOMIZATION["spec"]["patches"]),
    ],
    ids=["argocd", "flux"],
)
def test_jobs_that_finish_are_no_drift(path: str, patches: list[dict[str, Any]]) -> None:
    assert (MANIFESTS.parent / path / "kustomization.yaml").is_file()
    operations = yaml.safe_load(patches[0]["patch"])
    for job in (one for one in overlay(Path(path).name) if one["kind"] == "Job"):
        assert "annotations" not in job["metadata"]
        assert "ttlSecondsAfterFinished" in job["spec"]
    assert {"kind": "Job"} == patches[0]["target"]
    assert {"/metadata/annotations": "add", "/spec/ttlSecondsAfterFinished": "remove"} == {
        one["path"]: one["op"] for one in operations
    }


def test_flux_deploys_its_repository() -> None:
    assert {"kind": "GitRepository", "name": REPOSITORY["metadata"]["name"]} == KUSTOMIZATION["spec"]["sourceRef"]
    assert KUSTOMIZATION["spec"]["prune"]


def without(pointers: list[str], content: Object) -> Object:
    """Return a copy without the fields of JSON pointers."""
    copied: Object = json.loads(json.dumps(content))
    for pointer in pointers:
        *parents, last = pointer.lstrip("/").split("/")
        place = copied
        for name in parents:
            place = place.get(name, {})
        place.pop(last, None)
    return copied
