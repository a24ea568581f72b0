"""Tests of what a deployment does besides `kubectl apply -k`."""

import json
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import pytest
import yaml

from operations.cluster.command_runner import CommandFailed
from operations.cluster.deploy import deploy, write_kustomization
from operations.cluster.object_status import NotReady
from operations.cluster.secrets import KUBEFLOW, NAMESPACE
from operations.cluster.settings import Settings
from tests.support.fake_cluster import FakeCluster

REPOSITORY = Path(__file__).parents[3]
STORE = {
    "kind": "ConfigMap",
    "metadata": {"name": "object-store", "namespace": NAMESPACE},
    "data": {"endpoint": "http://object-store:9000"},
}
JOBS = [
    {
        "kind": "Job",
        "metadata": {"name": name},
        "spec": {"env": [{"valueFrom": {"secretKeyRef": {"name": "object-store", "key": "access-key"}}}]},
    }
    for name in ("bucket", "bootstrap")
]
DONE = {
    "kind": "Job",
    "metadata": {"name": "bootstrap", "generation": 1},
    "status": {"conditions": [{"type": "Complete", "status": "True"}]},
}


@pytest.fixture
def cluster(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> FakeCluster:
    """A cluster with KServe, where everything is ready at once."""
    monkeypatch.setattr("operations.cluster.deploy.RENDERED", tmp_path)
    monkeypatch.chdir(REPOSITORY)
    found = FakeCluster()
    found.objects["crd", "", "inferenceservices.serving.kserve.io"] = {}
    found.objects["jobs", NAMESPACE, "bootstrap"] = DONE
    found.outputs["kubectl kustomize"] = yaml.safe_dump_all([STORE, *JOBS])
    return found


def written(folder: Path) -> dict[str, list[str]]:
    content = yaml.safe_load((folder / "kustomization.yaml").read_text(encoding="utf-8"))
    assert isinstance(content, dict)
    return content


def test_without_kubeflow_pipelines_runs_are_jobs(cluster: FakeCluster, tmp_path: Path) -> None:
    deploy(cluster, Settings(tag="1a2b"))

    assert ["without-kubeflow"] == [Path(path).name for path in written(tmp_path)["components"]]
    assert {NAMESPACE} == {namespace for kind, namespace, _ in cluster.objects if kind == "secrets"}


def test_with_kubeflow_pipelines_the_keys_of_the_store_are_copied_to_its_namespace(
    cluster: FakeCluster, tmp_path: Path
) -> None:
    cluster.objects["service", KUBEFLOW, "ml-pipeline"] = {}
    deploy(cluster, Settings(tag="1a2b"))

    assert [] == written(tmp_path)["components"]
    assert ("secrets", KUBEFLOW, "object-store") in cluster.objects


def test_the_kustomization_sets_the_tag_of_every_image_and_the_overlay(cluster: FakeCluster) -> None:
    content = written(write_kustomization(Settings(tag="1a2b", overlay="production"), with_kubeflow=True))

    assert ["1a2b"] * 8 == [image["newTag"] for image in content["images"]]
    assert content["resources"][0].endswith("manifests/overlays/production")


def test_an_unknown_overlay_is_rejected_with_the_known_ones(cluster: FakeCluster) -> None:
    with pytest.raises(
        CommandFailed, match="OVERLAY: there is no overlay 'prod'; choose one of aks, eks, gke, kind, production"
    ):
        write_kustomization(Settings(overlay="prod"), with_kubeflow=True)


@pytest.mark.parametrize(("error", "deleted"), [("spec.template: field is immutable", 1), ("", 0)])
def test_a_job_is_deleted_only_if_its_template_is_immutable_and_differs(
    cluster: FakeCluster, error: str, deleted: int
) -> None:
    class StrictCluster(FakeCluster):
        def run(self, command: Sequence[str], *, stdin: str | None = None) -> str:
            if error and stdin and json.loads(stdin)["kind"] == "Job":
                raise CommandFailed(error)
            return "" if stdin and json.loads(stdin)["kind"] == "Job" else super().run(command, stdin=stdin)

    strict = StrictCluster()
    strict.objects, strict.outputs = cluster.objects | {("job", NAMESPACE, "bootstrap"): DONE}, cluster.outputs
    deploy(strict, Settings(tag="1a2b"))

    deletions = [command for command in strict.commands if command[:3] == ["kubectl", "delete", "job"]]
    assert deleted == len(deletions)


@pytest.mark.parametrize(
    ("error", "expected"),
    [
        ("Forbidden: updates to statefulset spec for fields other than 'replicas' are forbidden", ["--cascade=orphan"]),
        ("", []),
    ],
)
def test_a_stateful_set_with_other_volumes_is_created_again_and_its_pods_are_kept(
    cluster: FakeCluster, error: str, expected: list[str]
) -> None:
    class StrictCluster(FakeCluster):
        def run(self, command: Sequence[str], *, stdin: str | None = None) -> str:
            if stdin and json.loads(stdin)["kind"] == "StatefulSet":
                if error:
                    raise CommandFailed(error)
                return ""
            return super().run(command, stdin=stdin)

    strict = StrictCluster()
    strict.objects, strict.outputs = dict(cluster.objects), dict(cluster.outputs)
    strict.objects["statefulset", NAMESPACE, "feedback-service"] = workload("feedback-service")
    strict.outputs["kubectl kustomize"] = yaml.safe_dump_all([STORE, *JOBS, *map(workload, STATEFUL)])
    deploy(strict, Settings(tag="1a2b"))

    assert expected == [
        command[-1] for command in strict.commands if command[:3] == ["kubectl", "delete", "statefulset"]
    ]


MODELS = ("text-predictor", "image-predictor", "fusion-transformer")
STATEFUL = ("object-store", "feedback-service", "auth-proxy")


def workload(name: str, *, ready: bool = True) -> dict[str, Any]:
    kind = "InferenceService" if name in MODELS else "StatefulSet"
    conditions = [{"type": "Ready", "status": str(ready)}]
    status = {"replicas": 1, "updatedReplicas": 1, "availableReplicas": int(ready), "conditions": conditions}
    return {"kind": kind, "metadata": {"name": name, "namespace": NAMESPACE}, "spec": {}, "status": status}


@pytest.mark.parametrize("broken", ["", *MODELS, "auth-proxy"])
def test_an_upgrade_applies_each_service_after_those_it_calls_if_there_is_one_that_serves(
    cluster: FakeCluster, broken: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("operations.cluster.object_status.POLL_S", 0)
    workloads = [workload(name) for name in (*STATEFUL, *MODELS)]
    cluster.outputs["kubectl kustomize"] = yaml.safe_dump_all([STORE, *JOBS, *workloads])
    for one in workloads:
        name = one["metadata"]["name"]
        plural = "inferenceservices" if name in MODELS else "statefulsets"
        cluster.objects[plural, NAMESPACE, name] = workload(name, ready=name != broken)
    if broken:
        with pytest.raises(NotReady, match=broken):
            deploy(cluster, Settings(tag="1a2b", timeout_s=0.01))
    else:
        deploy(cluster, Settings(tag="1a2b"))

    staged = [["object-store"], ["text-predictor", "image-predictor"], ["fusion-transformer"], ["feedback-service"]]
    assert ([] if broken else staged) == [
        [one["metadata"]["name"] for one in items if one["kind"] in {"InferenceService", "StatefulSet"}]
        for items in cluster.lists
    ]
    assert ["kubectl", "apply", "-k"] == [command for command in cluster.commands if "-k" in command][-1][:3]


def test_an_upgrade_stops_before_the_services_that_call_one_that_does_not_start(cluster: FakeCluster) -> None:
    workloads = [workload(name) for name in (*STATEFUL, *MODELS)]
    cluster.outputs["kubectl kustomize"] = yaml.safe_dump_all([STORE, *JOBS, *workloads])

    class Broken(FakeCluster):
        def run(self, command: Sequence[str], *, stdin: str | None = None) -> str:
            output = super().run(command, stdin=stdin)
            if self.lists:
                self.objects["inferenceservices", NAMESPACE, "text-predictor"] = workload("text-predictor", ready=False)
            return output

    broken = Broken()
    broken.objects, broken.outputs = dict(cluster.objects), cluster.outputs
    for one in workloads:
        name = one["metadata"]["name"]
        broken.objects["inferenceservices" if name in MODELS else "statefulsets", NAMESPACE, name] = one
    with pytest.raises(NotReady, match="text-predictor"):
        deploy(broken, Settings(tag="1a2b", timeout_s=0.01))

    assert 2 == len(broken.lists)
    assert [] == [command for command in broken.commands if "-k" in command]


def test_with_a_registry_every_image_is_one_of_its_copies(cluster: FakeCluster, tmp_path: Path) -> None:
    store = {"kind": "StatefulSet", "metadata": {"name": "object-store"}, "spec": {"image": "quay.io/minio/minio:1"}}
    initializer = {"kind": "X", "metadata": {"name": "x"}, "container": {"image": "kserve/storage-initializer:v1"}}
    names = ("product-classifier/trainer:0.1.0", "registry.example.com/product-classifier/mlflow:0.1.0")
    ours = [{"kind": "X", "metadata": {"name": "x"}, "image": name} for name in names]
    cluster.outputs["kubectl kustomize"] = yaml.safe_dump_all([STORE, *JOBS, initializer, store, *ours])
    deploy(cluster, Settings(tag="1a2b", registry="registry.internal/"))

    images = {one["name"]: one for one in written(tmp_path)["images"]}  # type: ignore[call-overload,index]
    for name in ("product-classifier/trainer", "registry.example.com/product-classifier/mlflow"):
        assert f"registry.internal/product-classifier/{Path(name).name}" == images[name]["newName"]
        assert "1a2b" == images[name]["newTag"]
    assert "registry.internal/quay.io/minio/minio" == images["quay.io/minio/minio"]["newName"]
    renamed = images["kserve/storage-initializer"]
    assert {
        "name": "kserve/storage-initializer",
        "newName": f"registry.internal/docker.io/{renamed['name']}",
    } == renamed
