"""What a deployment adds to `kubectl apply -k`."""

import json
from collections.abc import Sequence
from pathlib import Path

import pytest
import yaml

from operations.cluster.commands import CommandFailed
from operations.cluster.deploy import deploy, write_kustomization
from operations.cluster.secrets import KUBEFLOW, NAMESPACE
from operations.cluster.settings import Settings
from tests.support.fake_commands import FakeCluster

REPOSITORY = Path(__file__).parents[3]
STORE = {"kind": "ConfigMap", "metadata": {"name": "object-store"}, "data": {"endpoint": "http://object-store:9000"}}
JOBS = [{"kind": "Job", "metadata": {"name": name}} for name in ("bucket", "bootstrap")]
DONE = {
    "kind": "Job",
    "metadata": {"name": "bootstrap", "generation": 1},
    "status": {"conditions": [{"type": "Complete", "status": "True"}]},
}


@pytest.fixture
def cluster(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> FakeCluster:
    """A cluster with KServe, where everything gets ready at once."""
    monkeypatch.setattr("operations.cluster.deploy.RENDERED", tmp_path)
    monkeypatch.chdir(REPOSITORY)
    found = FakeCluster()
    found.objects["crd", "", "inferenceservices.serving.kserve.io"] = {}
    found.objects["jobs", NAMESPACE, "bootstrap"] = DONE
    found.answers["kubectl kustomize"] = yaml.safe_dump_all([STORE, *JOBS])
    return found


def written(folder: Path) -> dict[str, list[str]]:
    content = yaml.safe_load((folder / "kustomization.yaml").read_text(encoding="utf-8"))
    assert isinstance(content, dict)
    return content


def test_without_kubeflow_runs_are_jobs(cluster: FakeCluster, tmp_path: Path) -> None:
    deploy(cluster, Settings(tag="1a2b"))

    assert ["without-kubeflow"] == [Path(path).name for path in written(tmp_path)["components"]]
    assert {NAMESPACE} == {namespace for kind, namespace, _ in cluster.objects if kind == "secrets"}


def test_with_kubeflow_its_pods_get_the_keys_of_the_store(cluster: FakeCluster, tmp_path: Path) -> None:
    cluster.objects["service", KUBEFLOW, "ml-pipeline"] = {}
    deploy(cluster, Settings(tag="1a2b"))

    assert [] == written(tmp_path)["components"]
    assert ("secrets", KUBEFLOW, "object-store") in cluster.objects


def test_every_image_gets_the_tag_and_the_overlay_is_what_was_asked_for(cluster: FakeCluster) -> None:
    content = written(write_kustomization(Settings(tag="1a2b", overlay="production"), with_kubeflow=True))

    assert ["1a2b"] * 8 == [image["newTag"] for image in content["images"]]
    assert content["resources"][0].endswith("manifests/overlays/production")


def test_an_overlay_that_is_not_there_is_refused_with_those_that_are(cluster: FakeCluster) -> None:
    with pytest.raises(CommandFailed, match="no overlay 'prod'; there are kind, production"):
        write_kustomization(Settings(overlay="prod"), with_kubeflow=True)


@pytest.mark.parametrize(("refusal", "removed"), [("spec.template: field is immutable", 1), ("", 0)])
def test_a_job_is_removed_only_when_it_ran_something_else(cluster: FakeCluster, refusal: str, removed: int) -> None:
    class Strict(FakeCluster):
        def run(self, command: Sequence[str], *, given: str | None = None) -> str:
            if refusal and given and json.loads(given)["kind"] == "Job":
                raise CommandFailed(refusal)
            return "" if given and json.loads(given)["kind"] == "Job" else super().run(command, given=given)

    strict = Strict()
    strict.objects, strict.answers = cluster.objects | {("job", NAMESPACE, "bootstrap"): DONE}, cluster.answers
    deploy(strict, Settings(tag="1a2b"))

    deleted = [command for command in strict.ran if command[:3] == ["kubectl", "delete", "job"]]
    assert removed == len(deleted)
